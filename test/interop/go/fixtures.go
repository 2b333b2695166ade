package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"
)

// fixture is a Go value by name, and where a value of its type can be read into.
type fixture struct {
	name   string
	value  any
	target func() any
}

func of[T any](name string, value T) fixture {
	return fixture{name, value, func() any { return new(T) }}
}

func ptr[T any](value T) *T { return &value }

func instant(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at.UTC()
}

type Ints struct {
	Int    int
	Int8   int8
	Int16  int16
	Int32  int32
	Int64  int64
	Uint   uint
	Uint8  uint8
	Uint16 uint16
	Uint32 uint32
	Uint64 uint64
}

type Floats struct {
	Float64 float64
	Whole   float64
	Huge    float64
}

type Singles struct {
	Float32, Whole float32
	Vector         []float32
	Grid           [][]float32
	Rows           []Single
	Float64        float64
	Doubles        []float64
}

type Single struct{ Float32 float32 }

type UnrealSingles struct{ Vector []float32 }

// Order is the one that examples/go-peers.mjs shows.
type Order struct {
	ID        int64
	Customer  string `msgpack:"customer"`
	City      string `msgpack:",intern"`
	Weight    float32
	PlacedAt  time.Time
	ShippedAt time.Time
}

// Quoted keeps its number from being rounded by readers of JSON that have float64 only.
type Quoted struct {
	ID int64 `json:",string"`
}

type Unreal struct{ Minus0, NaN, Inf, MinusInf float64 }

type Texts struct {
	Plain, Unicode, Empty, Long string
	Bool                        bool
}

type Bytes struct {
	Filled, Empty, None []byte
	Array               [4]byte
	Raw                 json.RawMessage
}

type Times struct {
	Zero, Second, Millis, Early, Far time.Time
	Took                             time.Duration
	At, None                         *time.Time
}

type Nano struct{ At time.Time }

type Long struct{ Took time.Duration }

type Inner struct {
	ID   int64
	Name string
}

type Pointers struct {
	Number, NoNumber *int
	Text             *string
	Inner, NoInner   *Inner
}

type Slices struct {
	None, Empty, Ints []int
	Longs             []int64
	Texts             []string
	Inners            []Inner
	Pointers          []*Inner
	Grid              [][]int
}

type Maps struct {
	Counts      map[string]int
	Inners      map[string]Inner
	Ints        map[int]string
	Longs       map[int64]string
	None, Empty map[string]int
}

type Flags struct{ Flags map[bool]string }

type Base struct {
	BaseID   int
	BaseName string
}

type More struct{ MoreID int }

type Nested struct {
	Name string
	Base
	Inner Inner
	Deep  struct {
		Inner  Inner
		Deeper struct{ Bool bool }
	}
}

// EmbedsNil embeds a pointer that is nil: its fields are written as nils.
type EmbedsNil struct {
	*More
	Name string
}

// Shadowing has a name twice: the embedded one is written too.
type Shadowing struct {
	Base
	BaseName string
}

type Tagged struct {
	ID       int       `msgpack:"id" json:"id"`
	Name     string    `msgpack:"full_name,omitempty" json:"full_name,omitempty"`
	NoName   string    `msgpack:"no_name,omitempty" json:"no_name,omitempty"`
	NoTime   time.Time `msgpack:"no_time,omitempty" json:"no_time,omitzero"`
	JSONOnly int       `json:"json_only"`
	Left     int       `msgpack:"-" json:"-"`
}

type AsArray struct {
	_msgpack struct{} `msgpack:",as_array"`
	ID       int
	Name     string
	Inner    Inner
}

type Place struct {
	City string `msgpack:",intern"`
	Zip  string
}

type Marshalers struct {
	IP  net.IP
	Big *big.Int
}

// Web leaves its link out of JSON, which would show the fields that this version of Go gives a URL.
type Web struct {
	Link *url.URL `json:"-"`
}

type Anything struct{ Number, Text, Bytes, Bool, Nil, Float, List, Object, Time any }

type Failure struct{ Err error }

type Letter struct{ Body string }

type Packet struct{ Body []byte }

// text is compressible, noise is not. The test makes the same.
func text(size int) string {
	const phrase = "two tiers, one answer; "
	return strings.Repeat(phrase, size/len(phrase)+1)[:size]
}

func noise(size int) []byte {
	bytes := make([]byte, size)
	state := uint32(2463534242)
	for i := range bytes {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		bytes[i] = byte(state >> 24)
	}
	return bytes
}

// records repeat themselves as rows of a table do, not as one phrase does.
func records(count int) []Inner {
	rows := make([]Inner, count)
	for i, each := range noise(count) {
		rows[i] = Inner{int64(i) * 1000, fmt.Sprintf("customer %d of branch %d", each, i%7)}
	}
	return rows
}

func link(text string) *url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return parsed
}

var fixtures = []fixture{
	of("ints", Ints{-5, -6, -300, -70_000, -5_000_000_000, 5, 200, 60_000, 4_000_000_000, 5_000_000_000}),
	of("intsSafe", Ints{Int: -9007199254740991, Int64: 9007199254740991, Uint: 9007199254740991, Uint64: 9007199254740991}),
	of("intsEdge", Ints{math.MinInt64, math.MinInt8, math.MinInt16, math.MinInt32, math.MinInt64,
		math.MaxUint64, math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64}),
	of("intsBeyond", Ints{Int: -9007199254740993, Int64: math.MaxInt64, Uint: 9007199254740993, Uint64: 1 << 63}),
	of("quoted", Quoted{9007199254740993}),
	of("floats", Floats{0.1, 3, 1e300}),
	of("singles", Singles{0.1, 3, []float32{0.1, -2, 1e30}, [][]float32{{0.1}, {}, {2, 0.5}},
		[]Single{{0.1}, {1.5}}, 0.1, []float64{0.1, 1e300}}),
	of("singlesBeyond", Single{16_777_216}),
	of("unrealSingles", UnrealSingles{[]float32{float32(math.Copysign(0, -1)), float32(math.NaN()),
		float32(math.Inf(1)), float32(math.Inf(-1)), math.SmallestNonzeroFloat32, math.MaxFloat32}}),
	of("unreal", Unreal{math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)}),
	of("texts", Texts{"plain", "é 漢字 🙂 \x00 \"", "", strings.Repeat("x", 300), true}),
	of("illFormed", Letter{"a\xffb"}),
	of("bytes", Bytes{[]byte{0, 1, 0xff}, []byte{}, nil, [4]byte{1, 2, 3, 4}, json.RawMessage(`{"a":1}`)}),
	of("times", Times{time.Time{}, instant("2024-05-06T07:08:09Z"), instant("2024-05-06T07:08:09.123Z"),
		instant("1969-07-20T20:17:40.5Z"), instant("2600-01-02T03:04:05.678Z"), 90 * time.Second,
		ptr(instant("2024-05-06T07:08:09.12Z")), nil}),
	of("nano", Nano{instant("2024-05-06T07:08:09.123456789Z")}),
	of("long", Long{200*24*time.Hour + 1}),
	of("pointers", Pointers{ptr(7), nil, ptr("seven"), &Inner{1, "one"}, nil}),
	of("slices", Slices{nil, []int{}, []int{1, -2, 300}, []int64{1, -2}, []string{"a", ""},
		[]Inner{{1, "one"}, {2, "two"}}, []*Inner{{3, "three"}, nil}, [][]int{{1}, {}, {2, 3}}}),
	of("maps", Maps{map[string]int{"a": 1}, map[string]Inner{"one": {1, "one"}}, map[int]string{-7: "seven"},
		map[int64]string{5_000_000_000: "five"}, nil, map[string]int{}}),
	of("flags", Flags{map[bool]string{true: "yes"}}),
	of("nested", Nested{Name: "n", Base: Base{1, "base"}, Inner: Inner{2, "two"}}),
	of("embedsNil", EmbedsNil{nil, "n"}),
	of("shadowing", Shadowing{Base{1, "embedded"}, "outer"}),
	of("tagged", Tagged{ID: 1, Name: "n", JSONOnly: 2, Left: 3}),
	of("asArray", AsArray{ID: 1, Name: "n", Inner: Inner{2, "two"}}),
	of("interned", []Place{{"Lisbon", "1100"}, {"Lisbon", "1200"}, {"Porto", "4000"}, {"Porto", "4100"}}),
	of("marshalers", Marshalers{net.ParseIP("192.0.2.7"), big.NewInt(12)}),
	of("web", Web{link("https://example.org/a?b=c")}),
	of("anything", Anything{int8(1), "text", []byte{1, 2}, true, nil, 1.5, []any{int8(1), "a"}, map[string]any{"a": int8(2)}, instant("2024-05-06T07:08:09Z")}),
	of("failure", Failure{errors.New("it failed")}),
	of("order", Order{ID: 7, Customer: "Ada", City: "Lisbon", Weight: 0.1, PlacedAt: instant("2024-05-06T07:08:09Z")}),
	of("page", "<h1>Welcome</h1>"),
	of("logo", []byte{0x89, 'P', 'N', 'G'}),
	of("number", 42),
	of("truth", true),
	of("list", []int{1, 2, 3}),
	of("object", map[string]string{"a": "b"}),
	of("moment", instant("2024-05-06T07:08:09.123Z")),
	of("nilPointer", (*Inner)(nil)),
	{"nil", nil, func() any { return new(Inner) }},
	of("emptyText", ""),
	of("emptyBytes", []byte{}),
	of("rawText", "é 漢字 🙂"),
	of("rawBytes", []byte{0, 1, 0xfe, 0xff}),
	of("inner", Inner{7, "seven"}),
	of("records", records(150)),
}

var sizes = map[string]int{"10": 10, "64": 64, "100K": 100 << 10, "5M": 5 << 20}

func init() {
	for _, name := range []string{"10", "64", "100K", "5M"} {
		size := sizes[name]
		fixtures = append(fixtures,
			of("text"+name, text(size)), of("noise"+name, noise(size)),
			of("letter"+name, Letter{text(size)}), of("packet"+name, Packet{noise(size)}))
	}
}

func find(name string) fixture {
	for _, each := range fixtures {
		if each.name == name {
			return each
		}
	}
	panic("no fixture " + name)
}
