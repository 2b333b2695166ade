// A service on jetcache-go for the interop tests. It obeys commands, one JSON object a line on
// standard input, one answer a line on standard output. With -capture it writes golden vectors and ends;
// with -keep it obeys none, and keeps keys refreshed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"time"

	cache "github.com/mgtv-tech/jetcache-go"
	"github.com/mgtv-tech/jetcache-go/logger"
	"github.com/mgtv-tech/jetcache-go/remote"
	"github.com/redis/go-redis/v9"
)

var errNotFound = errors.New("there is no such record")

type command struct {
	Do      string   `json:"do"`
	Codec   string   `json:"codec"`
	Fixture string   `json:"fixture"`
	Key     string   `json:"key"`
	TTL     int64    `json:"ttl"`   // milliseconds
	Loads   string   `json:"loads"` // what the loader gives: "value", "notFound", "failure", or "awaited": the value, when told
	Target  string   `json:"target"`
	Prefix  string   `json:"prefix"`
	IDType  string   `json:"idType"`
	IDs     []string `json:"ids"`
	Known   []string `json:"known"`  // the ids whose value the batch loader has
	Text    string   `json:"text"`   // without a fixture, the value
	Member  string   `json:"member"` // the cache that joined under this name, else one without a local tier
	Channel string   `json:"channel"`
	Local   string   `json:"local"` // "tinyLFU" or "freeCache"
	From    int      `json:"from"`  // how much of what was heard is left out
}

type answer struct {
	Error    string            `json:"error,omitempty"`
	NotFound bool              `json:"notFound,omitempty"` // the error is the not-found one
	Panicked bool              `json:"panicked,omitempty"`
	Same     bool              `json:"same,omitempty"`  // what was read equals the fixture
	Shown    string            `json:"shown,omitempty"` // what was read, as Go prints it
	Loads    int               `json:"loads"`           // how often the loader ran
	Asked    []string          `json:"asked,omitempty"` // the ids that the batch loader was asked for
	Values   map[string]string `json:"values,omitempty"`
	Text     string            `json:"text,omitempty"`
	Held     bool              `json:"held,omitempty"` // the local tier has the key
	Heard    []news            `json:"heard,omitempty"`
}

var client *redis.Client

func main() {
	capture := flag.String("capture", "", "directory to write golden vectors into")
	url := flag.String("redis", "", "the Redis that is shared with the tests")
	refreshed := flag.String("keep", "", "what to keep refreshed, as JSON")
	flag.Parse()
	logger.SetLevel(logger.LevelError)
	if *capture != "" {
		captureInto(*capture)
		return
	}
	if *refreshed != "" {
		keep(*refreshed)
		return
	}
	options, err := redis.ParseURL(*url)
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(options)
	serve()
}

func serve() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked command
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if err := out.Encode(run(asked)); err != nil {
			panic(err)
		}
	}
}

// run obeys one command. A panic of the cache is an answer too: it would have ended a service.
func run(asked command) (given answer) {
	defer func() {
		if cause := recover(); cause != nil {
			given = answer{Error: fmt.Sprint(cause), Panicked: true}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch asked.Do {
	case "set":
		return set(ctx, asked)
	case "get":
		return get(ctx, asked)
	case "once":
		return once(ctx, asked)
	case "delete":
		return failed(opened(asked).Delete(ctx, asked.Key))
	case "read":
		return read(ctx, asked)
	case "typedSet", "mget":
		return typed(ctx, asked)
	case "event":
		return event(ctx, asked)
	case "parseEvent":
		return parseEvent(asked.Text)
	case "refresh":
		return refresh(ctx, asked)
	case "join":
		return join(ctx, asked)
	case "held":
		return held(asked)
	case "heard":
		return heardBy(asked)
	case "holdEvents":
		members[asked.Member].publishing.Lock()
		return answer{}
	case "releaseEvents":
		members[asked.Member].publishing.Unlock()
		return answer{}
	default:
		panic("no command " + asked.Do)
	}
}

// open gives a cache without a local tier: each command sees what Redis holds.
func open(codec string, more ...cache.Option) cache.Cache {
	return cache.New(append([]cache.Option{
		cache.WithRemote(remote.NewGoRedisV9Adapter(client)),
		cache.WithCodec(codec),
		cache.WithErrNotFound(errNotFound),
		cache.WithStatsDisabled(true),
	}, more...)...)
}

// opened is the cache that the command is for.
func opened(asked command) cache.Cache {
	if asked.Member != "" {
		return members[asked.Member].cache
	}
	return open(asked.Codec)
}

// wanted is the value that the command is about.
func wanted(asked command) fixture {
	if asked.Fixture == "" {
		return of("text", asked.Text)
	}
	return find(asked.Fixture)
}

func failed(err error) answer {
	if err == nil {
		return answer{}
	}
	return answer{Error: err.Error(), NotFound: errors.Is(err, errNotFound)}
}

func set(ctx context.Context, asked command) answer {
	life := time.Duration(asked.TTL) * time.Millisecond
	return failed(opened(asked).Set(ctx, asked.Key, cache.Value(wanted(asked).value), cache.TTL(life)))
}

func get(ctx context.Context, asked command) answer {
	value := wanted(asked)
	target := value.target()
	given := failed(opened(asked).Get(ctx, asked.Key, target))
	compare(&given, value, target)
	return given
}

func once(ctx context.Context, asked command) answer {
	value := wanted(asked)
	target := value.target()
	loads := 0
	err := opened(asked).Once(ctx, asked.Key, cache.Value(target), cache.Do(func(context.Context) (any, error) {
		loads++
		switch asked.Loads {
		case "notFound":
			return nil, errNotFound
		case "failure":
			return nil, errors.New("the loader failed")
		case "awaited":
			return value.value, released(ctx, asked.Key)
		default:
			return value.value, nil
		}
	}))
	given := failed(err)
	given.Loads = loads
	compare(&given, value, target)
	return given
}

// released says in Redis, in a list, that it waits, and waits for a word in another one.
func released(ctx context.Context, key string) error {
	if err := client.RPush(ctx, key+":waiting", "").Err(); err != nil {
		return err
	}
	return client.BLPop(ctx, 0, key+":released").Err()
}

// compare says whether the target holds the fixture. A target that was left alone on an error does not.
func compare(given *answer, wanted fixture, target any) {
	if given.Error != "" {
		return
	}
	got := reflect.ValueOf(target).Elem()
	if wanted.value == nil {
		given.Same = got.IsZero()
	} else {
		given.Same = same(got, reflect.ValueOf(wanted.value))
	}
	given.Shown = shown(got.Interface())
}

var address = regexp.MustCompile("0x[0-9a-f]{8,}")

// shown is the value in Go's words; its end is left out when it is long.
func shown(value any) string {
	const most = 200
	text := address.ReplaceAllString(fmt.Sprintf("%+v", value), "(pointer)")
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
