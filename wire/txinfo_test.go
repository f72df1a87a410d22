package wire_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

func TestCurrentInput(t *testing.T) {
	tests := []struct {
		name  string
		cur   string
		ids   []string
		index int // -1: unverifiable
	}{
		{"index where no id matches", "0", []string{"6909"}, 0},
		{"second index", "1", []string{"6909", "6910"}, 1},
		{"id", "6910", []string{"6909", "6910"}, 1},
		{"id and index agree", "1", []string{"0", "1"}, 1},
		{"id of one, index of another", "1", []string{"1", "2"}, -1},
		{"id out of the range of indices", "2", []string{"2", "1"}, 0},
		{"two with this id", "7", []string{"7", "7"}, -1},
		{"neither", "5", []string{"6909"}, -1},
		{"negative", "-1", []string{"6909"}, -1},
		{"padded index", "00", []string{"6909"}, -1},
		{"signed index", "+0", []string{"6909"}, -1},
		{"no number", "x", []string{"6909"}, -1},
		{"id that is no number", "x", []string{"x"}, 0},
		{"empty", "", []string{""}, -1},
		{"no inputs", "0", nil, -1},
		{"too large", "99999999999999999999", []string{"1"}, -1},
	}
	for _, test := range tests {
		tx := wire.TxInfo{CurInputID: test.cur, ExtraData: &wire.ExtraData{}}
		for _, id := range test.ids {
			tx.ExtraData.VinList = append(tx.ExtraData.VinList, wire.Vin{ID: id})
		}
		got, err := tx.CurrentInput()
		if test.index < 0 {
			if err == nil {
				t.Errorf("%s: input %d, want an error", test.name, got)
			}
			continue
		}
		if err != nil || got != test.index {
			t.Errorf("%s: input %d, %v; want %d", test.name, got, err, test.index)
		}
	}
	if _, err := (&wire.TxInfo{CurInputID: "0"}).CurrentInput(); err == nil {
		t.Error("an input without extraData")
	}
}
