// Package witness hands checkpoints of the log to places outside it: a file that is only appended to, best on another machine's
// disk, or a URL. Whoever holds an old checkpoint can tell that the log has only grown since; who has the server's keys could
// write another log otherwise. A witness here keeps what it is given; it does not sign.
package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	maxFile     = 64 << 20 // bytes of a file of checkpoints: ten years of one in ten minutes
	sendTimeout = 10 * time.Second
	maxAnswer   = 64 << 10
)

// File appends checkpoints to a file: each followed by an empty line. Safe for concurrent use.
type File struct {
	name, path string
	mu         sync.Mutex // held while the file is written
}

// NewFile makes a witness of a file, which is made with mode 0644 at the first checkpoint.
func NewFile(name, path string) *File { return &File{name: name, path: path} }

// Name is what logs and metrics call it.
func (f *File) Name() string { return f.name }

// Send appends a signed checkpoint; it is on the disk when Send returns nil.
func (f *File) Send(_ context.Context, checkpoint []byte) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("witness %s: %w", f.name, err)
	}
	_, err = file.Write(append(bytes.Clone(checkpoint), '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("witness %s: %w", f.name, err)
	}
	return nil
}

// Last is the newest checkpoint in the file; nil if there is none yet.
func (f *File) Last() ([]byte, error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("witness %s: %w", f.name, err)
	}
	all, err := Split(data)
	if err != nil {
		return nil, fmt.Errorf("witness %s: %s: %w", f.name, f.path, err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all[len(all)-1], nil
}

// Split takes the checkpoints out of what a File has written, or out of a file with one checkpoint. A checkpoint is a signed
// note: text, an empty line, and lines of signatures, which begin with a dash. It verifies none.
func Split(data []byte) ([][]byte, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%d bytes of checkpoints: at most %d are read; keep the newer half", len(data), maxFile)
	}
	var out [][]byte
	for len(bytes.TrimLeft(data, "\n")) > 0 {
		data = bytes.TrimLeft(data, "\n")
		end := bytes.Index(data, []byte("\n\n"))
		if end < 0 {
			return nil, fmt.Errorf("checkpoint number %d is cut off: take its lines out", len(out)+1)
		}
		end += 2
		signed := end
		for bytes.HasPrefix(data[end:], []byte("— ")) {
			line := bytes.IndexByte(data[end:], '\n')
			if line < 0 {
				return nil, fmt.Errorf("checkpoint number %d is cut off: take its lines out", len(out)+1)
			}
			end += line + 1
		}
		if end == signed {
			return nil, fmt.Errorf("checkpoint number %d has no signature: take its lines out", len(out)+1)
		}
		out, data = append(out, data[:end:end]), data[end:]
	}
	return out, nil
}

// HTTP posts checkpoints to a URL. Safe for concurrent use.
type HTTP struct {
	name, url string
	token     func() (string, error)
	client    *http.Client
}

// HTTPConfig is what NewHTTP needs.
type HTTPConfig struct {
	Name, URL string
	// Token is read for each checkpoint and sent as bearer token; nil: none is sent.
	Token  func() (string, error)
	Client *http.Client // its redirects are not followed; nil: a default one
}

// NewHTTP makes a witness of a URL.
func NewHTTP(c HTTPConfig) *HTTP {
	client := &http.Client{}
	if c.Client != nil {
		*client = *c.Client
	}
	client.Timeout = sendTimeout
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &HTTP{name: c.Name, url: c.URL, token: c.Token, client: client}
}

// Name is what logs and metrics call it.
func (h *HTTP) Name() string { return h.name }

// Send posts a signed checkpoint as text/plain and takes a status of 200 to 299 for the word that it is kept. It waits 10
// seconds at most.
func (h *HTTP) Send(ctx context.Context, checkpoint []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(checkpoint))
	if err != nil {
		return fmt.Errorf("witness %s: %w", h.name, err)
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if h.token != nil {
		token, err := h.token()
		if err != nil {
			return fmt.Errorf("witness %s: %w", h.name, err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := h.client.Do(r)
	if err != nil {
		return fmt.Errorf("witness %s: %w", h.name, err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("witness %s: it answered HTTP %d", h.name, response.StatusCode)
	}
	return nil
}
