package main

import (
	"math"
	"math/big"
	"reflect"
	"time"
)

// same is reflect.DeepEqual, but for instants (the same one in any time zone), NaN (equal to itself)
// big numbers (whose unused capacity is no part of the value) and fields that are never stored.
func same(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	if a.Type() != b.Type() {
		return false
	}
	switch known := a.Interface().(type) {
	case time.Time:
		return known.Equal(b.Interface().(time.Time))
	case *big.Int:
		return known.Cmp(b.Interface().(*big.Int)) == 0
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float()) || (a.Float() != a.Float() && b.Float() != b.Float())
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		return sameList(a, b)
	case reflect.Map:
		return sameMap(a, b)
	case reflect.Struct:
		exported := 0
		for i := range a.NumField() {
			field := a.Type().Field(i)
			if field.IsExported() {
				exported++
			}
			if field.IsExported() && field.Tag.Get("msgpack") != "-" && !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return exported > 0 || reflect.DeepEqual(a.Interface(), b.Interface())
	default:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
}

func sameList(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.IsNil() != b.IsNil() || a.Len() != b.Len() {
		return false
	}
	if a.Type().Elem().Kind() == reflect.Uint8 {
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	for i := range a.Len() {
		if !same(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func sameMap(a, b reflect.Value) bool {
	if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
		return false
	}
	for _, key := range a.MapKeys() {
		if !b.MapIndex(key).IsValid() || !same(a.MapIndex(key), b.MapIndex(key)) {
			return false
		}
	}
	return true
}
