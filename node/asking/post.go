package asking

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// post posts a body and reads what comes back, whatever it is.
func (s *endpoints) post(ctx context.Context, timeout time.Duration, url string, q Question) (body []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(q.Body))
	if err != nil {
		return nil, 0, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Signature", q.Signature)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(response.Body, maxReply+1)); err != nil {
		return nil, 0, fmt.Errorf("read the reply: %w", err)
	}
	if len(body) > maxReply {
		return nil, 0, fmt.Errorf("the reply has more than %d bytes", maxReply)
	}
	return body, response.StatusCode, nil
}

// unsignedAck tells whether a reply acknowledges without any signature: HTTP 200, one JSON object, status "0". One that
// brings a signature is judged by that.
func unsignedAck(code int, body []byte) bool {
	var reply struct {
		Status    string          `json:"status"`
		Signature json.RawMessage `json:"signature"`
	}
	if code != http.StatusOK || jsonv2.Unmarshal(body, &reply) != nil || reply.Status != "0" {
		return false
	}
	return len(reply.Signature) == 0 || string(reply.Signature) == "null" || string(reply.Signature) == `""`
}

// TLSFiles are PEM files for the connection to one server.
type TLSFiles struct {
	CA               string // the only roots that count; empty: the system's
	Certificate, Key string // this side's certificate, with its chain, and its private key; both or neither
}

// LoadTLS reads the files. Without any it returns nil. Errors name the file, never what is in it.
func LoadTLS(files TLSFiles) (*tls.Config, error) {
	if files == (TLSFiles{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.CA != "" {
		data, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("the certificates that are trusted (ca-path): %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("the certificates that are trusted (ca-path): %s holds no PEM block CERTIFICATE that can be read", files.CA)
		}
	}
	if (files.Certificate == "") != (files.Key == "") {
		return nil, errors.New("client-cert-path and client-key-path are needed together")
	}
	if files.Certificate != "" {
		own, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate (client-cert-path %s, client-key-path %s): %w", files.Certificate, files.Key, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}
