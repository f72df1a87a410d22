package callback_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// copyOf asks for a copy; the caller closes its body.
func (w *world) copyOf() *http.Response {
	w.t.Helper()
	r := must[*http.Request](w.t)(http.NewRequest(http.MethodGet, w.admin+"/admin/v1/log/copy", nil))
	r.Header.Set("Authorization", "Bearer "+adminToken)
	return must[*http.Response](w.t)(http.DefaultClient.Do(r))
}

// copying is the type of Config.CopyStore.
type copying = func(context.Context, func(context.Context, int64) (io.Writer, error)) error

// copyWorld is a world whose ledger is copied by what through makes of the store's own copier.
func copyWorld(t *testing.T, through func(copying) copying) *world {
	t.Helper()
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(t.TempDir(), "callback.db")}))
	t.Cleanup(func() { ok(t, store.Close()) })
	return newWorld(t, options{store: store, cfg: func(c *callback.Config) { c.CopyStore = through(store.Copy) }})
}

// held is a writer that waits before it writes for the first time.
type held struct {
	io.Writer
	begun, goOn chan struct{}
}

func (h *held) Write(p []byte) (int, error) {
	if h.begun != nil {
		close(h.begun)
		<-h.goOn
		h.begun = nil
	}
	return h.Writer.Write(p)
}

// TestCopyWhileDeciding: while a copy is under way decisions are made and recorded, another copy is refused, and the copy has
// what was recorded when it began.
func TestCopyWhileDeciding(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	w := copyWorld(t, func(own copying) copying {
		return func(ctx context.Context, to func(context.Context, int64) (io.Writer, error)) error {
			return own(ctx, func(ctx context.Context, size int64) (io.Writer, error) {
				inner, err := to(ctx, size)
				return &held{inner, begun, goOn}, err
			})
		}
	})
	ask := func(id string) {
		t.Helper()
		d, _ := w.ask(&wire.Check{CallbackID: id, RequestType: wire.TypeKeygen, RequestDetail: wire.RequestDetail{T: 2, N: 2, Cryptography: "ecdsa-secp256k1", PartyIDs: []string{"x", "y"}}})
		want(t, d, wire.Reject)
	}
	ask("before")
	type result struct {
		data []byte
		err  error
	}
	made := make(chan result, 1)
	go func() {
		response := w.copyOf()
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		made <- result{data, err}
	}()
	<-begun
	ask("meanwhile")
	second := w.copyOf()
	text := must[string](t)(readAll(second))
	if second.Body.Close(); second.StatusCode != http.StatusConflict || !strings.Contains(text, "already") {
		t.Errorf("a second copy: HTTP %d %s", second.StatusCode, text)
	}
	close(goOn)
	r := <-made
	ok(t, r.err)
	path := filepath.Join(t.TempDir(), "copy.db")
	ok(t, os.WriteFile(path, r.data, 0o600))
	s := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: path, ReadOnly: true}))
	defer s.Close()
	ok(t, s.Check(t.Context()))
	held := must[*ledger.History](t)(ledger.ReadHistory(t.Context(), s))
	var found []string
	for _, d := range must[ledger.Page](t)(held.Decisions(t.Context(), ledger.Filter{}, 0, "")).Decisions {
		found = append(found, d.Ask.CallbackID)
	}
	if !slices.Equal(found, []string{"before"}) { // pages that were free when it began may hold anything, and nothing refers to them
		t.Errorf("the copy holds the decisions %q: it is not of the moment at which it began", found)
	}
}

// A copy that breaks off is seen to be short, and the next one can be made.
func TestCopyBreaksOff(t *testing.T) {
	breaks := true
	w := copyWorld(t, func(own copying) copying {
		return func(ctx context.Context, to func(context.Context, int64) (io.Writer, error)) error {
			if !breaks {
				return own(ctx, to)
			}
			inner, err := to(ctx, 1000)
			ok(t, err)
			_, err = inner.Write(make([]byte, 999))
			return errors.Join(err, errors.New("the disk is gone"))
		}
	})
	response := w.copyOf()
	defer response.Body.Close()
	if data, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if !strings.Contains(w.logged.String(), "the disk is gone") {
		t.Error("the log does not say why")
	}
	breaks = false
	again := w.copyOf()
	defer again.Body.Close()
	if data, err := io.ReadAll(again.Body); err != nil || int64(len(data)) != again.ContentLength {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// A ledger in a database is not copied.
func TestNoCopyOfADatabase(t *testing.T) {
	w := newWorld(t, options{})
	response := w.copyOf()
	defer response.Body.Close()
	if text := must[string](t)(readAll(response)); response.StatusCode != http.StatusConflict || !strings.Contains(text, "in a database") {
		t.Errorf("HTTP %d %s", response.StatusCode, text)
	}
}
