package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	cache "github.com/mgtv-tech/jetcache-go"
	"github.com/mgtv-tech/jetcache-go/local"
)

// typed runs a command of the typed wrapper with ids of the type it names.
func typed(ctx context.Context, asked command) answer {
	switch asked.IDType {
	case "int":
		return typedBy[int](ctx, asked)
	case "int64":
		return typedBy[int64](ctx, asked)
	case "uint64":
		return typedBy[uint64](ctx, asked)
	case "float64":
		return typedBy[float64](ctx, asked)
	case "string":
		return typedBy[string](ctx, asked)
	default:
		panic("no id type " + asked.IDType)
	}
}

// parseID takes ids as JSON has them, so that no digit is lost on the way.
func parseID[K cmp.Ordered](text string) (id K) {
	if err := json.Unmarshal([]byte(text), &id); err != nil {
		panic(err)
	}
	return id
}

func typedBy[K cmp.Ordered](ctx context.Context, asked command) answer {
	view := cache.NewT[K, Inner](opened(asked))
	if asked.Do == "typedSet" {
		return failed(view.Set(ctx, asked.Prefix, parseID[K](asked.IDs[0]), find("inner").value.(Inner)))
	}
	given := answer{Values: map[string]string{}}
	ids := make([]K, len(asked.IDs))
	for i, text := range asked.IDs {
		ids[i] = parseID[K](text)
	}
	found, err := view.MGetWithErr(ctx, asked.Prefix, ids, func(_ context.Context, missing []K) (map[K]Inner, error) {
		given.Loads++
		loaded := map[K]Inner{}
		slices.Sort(missing)
		for _, id := range missing {
			given.Asked = append(given.Asked, fmt.Sprint(id))
		}
		for _, text := range asked.Known {
			id := parseID[K](text)
			loaded[id] = Inner{7, fmt.Sprint("loaded ", id)}
		}
		return loaded, nil
	})
	if err != nil {
		given.Error = err.Error()
	}
	for id, value := range found {
		given.Values[fmt.Sprint(id)] = shown(value)
	}
	return given
}

// targets are the types of field that a value from elsewhere may meet.
var targets = []fixture{
	of("int", struct{ V int }{}), of("int8", struct{ V int8 }{}), of("int64", struct{ V int64 }{}),
	of("uint8", struct{ V uint8 }{}), of("uint64", struct{ V uint64 }{}),
	of("float32", struct{ V float32 }{}), of("float64", struct{ V float64 }{}),
	of("bool", struct{ V bool }{}), of("string", struct{ V string }{}),
	of("[]byte", struct{ V []byte }{}), of("[4]byte", struct{ V [4]byte }{}),
	of("[]int", struct{ V []int }{}), of("[]int64", struct{ V []int64 }{}), of("[]string", struct{ V []string }{}),
	of("[]any", struct{ V []any }{}), of("[]Inner", struct{ V []Inner }{}), of("[]map[string]int", struct{ V []map[string]int }{}),
	of("map[string]int", struct{ V map[string]int }{}), of("map[string]string", struct{ V map[string]string }{}),
	of("map[string]float32", struct{ V map[string]float32 }{}),
	of("map[string]any", struct{ V map[string]any }{}), of("map[int]string", struct{ V map[int]string }{}),
	of("Inner", struct{ V Inner }{}), of("*Inner", struct{ V *Inner }{}),
	of("*int64", struct{ V *int64 }{}), of("*string", struct{ V *string }{}),
	of("time.Time", struct{ V time.Time }{}), of("*time.Time", struct{ V *time.Time }{}),
	of("time.Duration", struct{ V time.Duration }{}), of("any", struct{ V any }{}),
}

// read gives what a field V of the target type becomes; without a target, the names of all there are.
func read(ctx context.Context, asked command) answer {
	given := answer{Values: map[string]string{}}
	for _, each := range targets {
		if asked.Target == "" {
			given.Values[each.name] = ""
		} else if each.name == asked.Target {
			target := each.target()
			given = failed(open(asked.Codec).Get(ctx, asked.Key, target))
			if given.Error == "" {
				given.Shown = shown(reflect.ValueOf(target).Elem().Interface())
			}
		}
	}
	return given
}

// listening gives a cache of both tiers and what its event handler gets, as JSON.
func listening(codec string, more ...cache.Option) (cache.Cache, <-chan string) {
	heard := make(chan string, 10)
	return open(codec, append([]cache.Option{
		cache.WithName("orders"),
		cache.WithSourceId("00ff00ff00ff00ff"),
		cache.WithLocal(local.NewTinyLFU(100, time.Minute)),
		cache.WithSyncLocal(true),
		cache.WithEventHandler(func(event *cache.Event) {
			text, err := json.Marshal(event)
			if err != nil {
				panic(err)
			}
			heard <- string(text)
		}),
	}, more...)...), heard
}

// event does to the key what `loads` names, and answers with the event.
func event(ctx context.Context, asked command) answer {
	sender, heard := listening("msgpack")
	defer sender.Close()
	value := find("inner").value.(Inner)
	var err error
	switch asked.Loads {
	case "set":
		err = sender.Set(ctx, asked.Key, cache.Value(value))
	case "setByOnce":
		err = sender.Once(ctx, asked.Key, cache.Do(func(context.Context) (any, error) { return value, nil }))
	case "setByMGet":
		_, err = cache.NewT[string, Inner](sender).MGetWithErr(ctx, asked.Prefix, asked.IDs,
			func(context.Context, []string) (map[string]Inner, error) { return nil, nil })
	case "delete":
		err = sender.Delete(ctx, asked.Key)
	default:
		panic("no event of " + asked.Loads)
	}
	if err != nil {
		return failed(err)
	}
	return next(ctx, heard)
}

func next(ctx context.Context, heard <-chan string) answer {
	select {
	case text := <-heard:
		return answer{Text: text}
	case <-ctx.Done():
		return failed(ctx.Err())
	}
}

func parseEvent(text string) answer {
	var event cache.Event
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		return failed(err)
	}
	return answer{Shown: shown(event)}
}

// refresh keeps a key refreshed until the first refresh has been told of. Its lock is in Redis then.
func refresh(ctx context.Context, asked command) answer {
	keeper, heard := listening("msgpack", cache.WithRefreshDuration(time.Second))
	defer keeper.Close()
	err := keeper.Once(ctx, asked.Key, cache.Refresh(true),
		cache.Do(func(context.Context) (any, error) { return find("inner").value, nil }))
	if err != nil {
		return failed(err)
	}
	if loaded := next(ctx, heard); loaded.Error != "" {
		return loaded
	}
	return next(ctx, heard)
}
