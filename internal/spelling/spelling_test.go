package spelling_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/internal/spelling"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"limits", "limits", 0}, {"limts", "limits", 1}, {"limitss", "limits", 1}, {"lamits", "limits", 1},
		{"kitten", "sitting", 3}, {"abc", "xyz", 3},
	} {
		if got, back := spelling.Distance(c.a, c.b), spelling.Distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q and %q: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
