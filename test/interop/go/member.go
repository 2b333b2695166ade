package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	cache "github.com/mgtv-tech/jetcache-go"
	"github.com/mgtv-tech/jetcache-go/local"
	"github.com/redis/go-redis/v9"
)

// member is a cache of both tiers that publishes its events and hears those of others, in the way that
// jetcache-go documents.
type member struct {
	cache      cache.Cache
	local      local.Local
	sourceID   string
	publishing sync.Mutex // locked while its events are held back
	mu         sync.Mutex
	heard      []news
}

// news is one message of the channel.
type news struct {
	Text    string      `json:"text"`
	Error   string      `json:"error,omitempty"` // why it is no event
	Event   cache.Event `json:"event"`           // as Go understands it
	Dropped []string    `json:"dropped,omitempty"`
}

var members = map[string]*member{}

// join makes a member for the commands to come.
func join(ctx context.Context, asked command) answer {
	joined, err := newMember(ctx, asked)
	if err != nil {
		return failed(err)
	}
	members[asked.Member] = joined
	return answer{Text: joined.sourceID}
}

// newMember makes a member. It is subscribed when this returns.
func newMember(ctx context.Context, asked command, more ...cache.Option) (*member, error) {
	pubSub := client.Subscribe(context.Background(), asked.Channel)
	if _, err := pubSub.Receive(ctx); err != nil {
		return nil, err
	}
	joined := &member{sourceID: asked.Member + "-source", local: localTier(asked)}
	joined.cache = open(asked.Codec, append([]cache.Option{
		cache.WithName(asked.Member),
		cache.WithLocal(joined.local),
		cache.WithSourceId(joined.sourceID),
		cache.WithSyncLocal(true),
		cache.WithEventHandler(func(event *cache.Event) {
			joined.publish(asked.Channel, event)
		}),
	}, more...)...)
	go joined.listen(pubSub)
	return joined, nil
}

func localTier(asked command) local.Local {
	const life = time.Hour
	switch asked.Local {
	case "tinyLFU":
		// Some 60 for each entry: it counts the bytes of its own bookkeeping too.
		return local.NewTinyLFU(1_000_000, life)
	case "freeCache":
		return local.NewFreeCache(16*local.MB, life, asked.Member)
	default:
		panic("no local tier " + asked.Local)
	}
}

func (m *member) publish(channel string, event *cache.Event) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	text, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	if err := client.Publish(context.Background(), channel, string(text)).Err(); err != nil {
		panic(err)
	}
}

func (m *member) listen(pubSub *redis.PubSub) {
	for message := range pubSub.Channel() {
		told := m.obey(message.Payload)
		m.mu.Lock()
		m.heard = append(m.heard, told)
		m.mu.Unlock()
	}
}

func (m *member) obey(text string) news {
	told := news{Text: text}
	var event *cache.Event
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		told.Error = err.Error()
		return told
	}
	told.Event = *event
	if event.SourceID != m.sourceID {
		for _, key := range event.Keys {
			m.cache.DeleteFromLocalCache(key)
			told.Dropped = append(told.Dropped, key)
		}
	}
	return told
}

func held(asked command) answer {
	_, ok := members[asked.Member].local.Get(asked.Key)
	return answer{Held: ok}
}

func heardBy(asked command) answer {
	m := members[asked.Member]
	m.mu.Lock()
	defer m.mu.Unlock()
	return answer{Heard: m.heard[asked.From:]}
}
