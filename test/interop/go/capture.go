package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	cache "github.com/mgtv-tech/jetcache-go"
	"github.com/mgtv-tech/jetcache-go/remote"
	"github.com/redis/go-redis/v9"
)

// recorder is a remote that keeps what it is given.
type recorder struct {
	remote.Remote
	stored map[string][]byte
}

func (r *recorder) SetEX(_ context.Context, key string, value any, _ time.Duration) error {
	r.stored[key] = value.([]byte)
	return nil
}

func (r *recorder) Get(context.Context, string) (string, error) { return "", redis.Nil }

func (r *recorder) Nil() error { return redis.Nil }

// longest is the most stored bytes of a vector: beyond are repeated phrases and noise.
const longest = 16 << 10

type header struct {
	Captured string            `json:"captured"`
	Go       string            `json:"go"`
	Modules  map[string]string `json:"modules"`
}

type vector struct {
	Fixture string `json:"fixture"`
	Codec   string `json:"codec"`
	Hex     string `json:"hex"`
}

// captureInto writes vectors.jsonl, a header and then a vector a line, and transcript.txt, which tells
// the same to a reader: what was stored, and how many bytes it became.
func captureInto(dir string) {
	vectors, closeVectors := create(filepath.Join(dir, "vectors.jsonl"))
	defer closeVectors()
	transcript, closeTranscript := create(filepath.Join(dir, "transcript.txt"))
	defer closeTranscript()
	head := header{time.Now().UTC().Format(time.RFC3339), runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, modules()}
	lines := json.NewEncoder(vectors)
	must(lines.Encode(head))
	fmt.Fprintf(transcript, "captured %s with %s\n", head.Captured, head.Go)
	for _, path := range used {
		fmt.Fprintf(transcript, "%s %s\n", path, head.Modules[path])
	}
	for _, each := range fixtures {
		fmt.Fprintf(transcript, "\n%s: %s\n", each.name, oneLine(shown(each.value)))
		for _, codec := range []string{"msgpack", "json", "sonic"} {
			stored, err := storedBytes(codec, func(of cache.Cache, key string) error {
				return of.Set(context.Background(), key, cache.Value(each.value))
			})
			if err != nil {
				fmt.Fprintf(transcript, "  %s: cannot be stored: %v\n", codec, err)
				continue
			}
			fmt.Fprintf(transcript, "  %s: %d bytes\n", codec, len(stored))
			if len(stored) <= longest {
				must(lines.Encode(vector{each.name, codec, hex.EncodeToString(stored)}))
			}
		}
	}
	placeholder, err := storedBytes("msgpack", func(of cache.Cache, key string) error {
		return of.Set(context.Background(), key, cache.Do(func(context.Context) (any, error) { return nil, errNotFound }))
	})
	must(err)
	must(lines.Encode(vector{"placeholder", "msgpack", hex.EncodeToString(placeholder)}))
	fmt.Fprintf(transcript, "\nplaceholder: %q\n", placeholder)
}

func storedBytes(codec string, store func(of cache.Cache, key string) error) ([]byte, error) {
	kept := &recorder{stored: map[string][]byte{}}
	of := cache.New(cache.WithRemote(kept), cache.WithCodec(codec), cache.WithErrNotFound(errNotFound), cache.WithStatsDisabled(true))
	if err := store(of, "key"); err != nil {
		return nil, err
	}
	return kept.stored["key"], nil
}

var used = []string{
	"github.com/mgtv-tech/jetcache-go",
	"github.com/vmihailenco/msgpack/v5",
	"github.com/klauspost/compress",
	"github.com/bytedance/sonic",
	"github.com/redis/go-redis/v9",
}

func modules() map[string]string {
	versions := map[string]string{}
	build, _ := debug.ReadBuildInfo()
	for _, dependency := range build.Deps {
		for _, path := range used {
			if dependency.Path == path {
				versions[path] = dependency.Version
			}
		}
	}
	return versions
}

func create(path string) (*bufio.Writer, func()) {
	file, err := os.Create(path)
	must(err)
	buffered := bufio.NewWriter(file)
	return buffered, func() {
		must(buffered.Flush())
		must(file.Close())
	}
}

func oneLine(text string) string {
	return strings.Map(func(each rune) rune {
		if each < ' ' {
			return '.'
		}
		return each
	}, text)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
