package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	cache "github.com/mgtv-tech/jetcache-go"
	"github.com/redis/go-redis/v9"
)

// task is what a process keeps refreshed, in milliseconds (test/real/refresh/keepers.ts).
type task struct {
	Who      string   `json:"who"`
	URL      string   `json:"url"`
	Keys     []string `json:"keys"`
	Logs     string   `json:"logs"`
	Channel  string   `json:"channel"`
	Interval int64    `json:"interval"`
	TTL      int64    `json:"ttl"`
	LoaderMs int64    `json:"loaderMs"`
	AskEvery int64    `json:"askEvery"`
}

// kept is a value that both sides read.
type kept struct {
	Key     string
	Version int64
}

// sight is what a call was answered.
type sight struct {
	Key       string `json:"key"`
	Version   int64  `json:"version"`
	BegunAt   int64  `json:"begunAt"`
	SettledAt int64  `json:"settledAt"`
	Failure   string `json:"failure,omitempty"`
}

// awaited marks the context of a call that somebody waits for: a refresh has one of its own.
type awaited struct{}

// keep has keys refreshed and asks for them now and then, as keeper.mjs does.
func keep(text string) {
	var given task
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		panic(err)
	}
	options, err := redis.ParseURL(given.URL)
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(options)
	go endWithInput()
	ctx := context.WithValue(context.Background(), awaited{}, true)
	keeper := given.open(ctx)
	out := json.NewEncoder(os.Stdout)
	for {
		seen := make([]sight, len(given.Keys))
		for i, key := range given.Keys {
			seen[i] = ask(ctx, keeper, given, key)
		}
		if err := out.Encode(map[string]any{"seen": seen}); err != nil {
			panic(err)
		}
		time.Sleep(milliseconds(given.AskEvery))
	}
}

// open gives a cache that hears and tells of changes if there is a channel.
func (given task) open(ctx context.Context) cache.Cache {
	asked := command{Codec: "msgpack", Member: given.Who, Channel: given.Channel, Local: "tinyLFU"}
	refreshes := []cache.Option{
		cache.WithRefreshDuration(milliseconds(given.Interval)),
		cache.WithStopRefreshAfterLastAccess(time.Hour),
		cache.WithEventChBufSize(2 * len(given.Keys)),
	}
	if given.Channel == "" {
		return open(asked.Codec, append(refreshes, cache.WithLocal(localTier(asked)))...)
	}
	told, err := newMember(ctx, asked, refreshes...)
	if err != nil {
		panic(err)
	}
	return told.cache
}

func ask(ctx context.Context, keeper cache.Cache, given task, key string) sight {
	saw := sight{BegunAt: time.Now().UnixMilli()}
	var value kept
	err := keeper.Once(ctx, key, cache.Value(&value), cache.TTL(milliseconds(given.TTL)), cache.Refresh(true),
		cache.Do(func(ctx context.Context) (any, error) { return given.load(ctx, key) }))
	if err != nil {
		saw.Failure = err.Error()
	}
	saw.Key, saw.Version, saw.SettledAt = value.Key, value.Version, time.Now().UnixMilli()
	return saw
}

// load takes its place in the list to which all write; that is the version.
func (given task) load(ctx context.Context, key string) (any, error) {
	reason := "refresh"
	if ctx.Value(awaited{}) != nil {
		reason = "miss"
	}
	line := fmt.Sprint(given.Who, " ", time.Now().UnixMilli(), " ", reason)
	version, err := client.RPush(ctx, key+given.Logs, line).Result()
	if err != nil {
		return nil, err
	}
	time.Sleep(milliseconds(given.LoaderMs))
	return kept{key, version}, nil
}

func milliseconds(count int64) time.Duration {
	return time.Duration(count) * time.Millisecond
}

func endWithInput() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}
