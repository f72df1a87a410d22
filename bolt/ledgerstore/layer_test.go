package ledgerstore

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestLayer holds a layer to what each group made of it, however its calls were undone and its groups given up.
func TestLayer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const bucket = 3
		l := newLayer(nil)
		held := []map[string]string{{}} // by the number of the group: the value of each key, "" where it was deleted
		oldest := uint64(0)             // at which somebody looks
		var of []change
		for group := uint64(1); group <= uint64(rapid.IntRange(1, 8).Draw(rt, "groups")); {
			state := maps.Clone(held[group-1])
			for range rapid.IntRange(0, 6).Draw(rt, "calls") {
				before, changed := maps.Clone(state), len(of)
				var undone []undo
				for range rapid.IntRange(1, 4).Draw(rt, "changes") {
					key := rapid.SampledFrom([]string{"a", "a\x00", "a\x00b", "b", "series 1", "series 1\x00", "series 1, minute", "series 1, hour", "series 2"}).Draw(rt, "key")
					to := cell{since: group, value: rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(rt, "value"), gone: rapid.Bool().Draw(rt, "gone")}
					if state[key] = string(to.value); to.gone {
						to.value, state[key] = nil, ""
					}
					u, fresh := l.set(bucket, []byte(key), to, oldest)
					if undone = append(undone, u); fresh {
						of = append(of, u.change)
					}
				}
				if rapid.Bool().Draw(rt, "fails") {
					for _, u := range slices.Backward(undone) {
						u.revert()
					}
					state, of = before, of[:changed]
				}
			}
			if rapid.IntRange(0, 4).Draw(rt, "given up") == 0 {
				for i := range of {
					of[i].forget(group - 1)
				}
			} else {
				held = append(held, state)
				oldest = uint64(rapid.IntRange(int(oldest), int(group)).Draw(rt, "oldest"))
				group++
			}
			of = of[:0]
			for at := oldest; at < uint64(len(held)); at++ {
				for key, value := range held[at] {
					if found, ok := l.get(bucket, []byte(key), at); !ok || found.key != key || string(found.value) != value || found.gone != (value == "") {
						rt.Fatalf("%q at group %d is %+v, %v, and was %q", key, at, found, ok, value)
					}
				}
			}
			last := held[len(held)-1]
			var keys []string
			for _, s := range l.inOrder(bucket) {
				keys = append(keys, s.slot.key)
			}
			if want := slices.Sorted(maps.Keys(last)); !slices.Equal(keys, want) {
				rt.Fatalf("in order: %q, want %q", keys, want)
			}
			if n, _ := l.size(); n != len(last) {
				rt.Fatalf("%d keys, want %d", n, len(last))
			}
		}
	})
}
