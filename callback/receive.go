package callback

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// maxName is how long a name may be that is recorded as it is, in bytes; a longer one is recorded by its hash.
const maxName = 512

// asked is a request whose signature verified, with the node that made it.
type asked struct {
	*wire.Request
	node *node
	hash ledger.Hash // of the bytes that the signature verified over

	coming *ledger.Coming // on its way to the ledger; not nil
}

// routes serves the endpoints. There are six, of fixed names and one method: nothing has to be made to find one of them.
func (s *Server) routes() http.Handler {
	endpoints := map[string]http.HandlerFunc{}
	for _, prefix := range []string{"", "/v1"} {
		endpoints[prefix+string(wire.PathCheck)] = s.endpoint(wire.PathCheck, s.check)
		endpoints[prefix+string(wire.PathRawdata)] = s.endpoint(wire.PathRawdata, s.report)
		endpoints[prefix+string(wire.PathOutcome)] = s.endpoint(wire.PathOutcome, s.report)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := endpoints[cmp.Or(r.URL.RawPath, r.URL.Path)] // as it was sent: an endpoint has one spelling
		switch {
		case serve == nil:
			s.refuse(w, &wire.Error{Code: wire.CodeNotFound, Detail: "this server has POST /v1/check, /v1/rawdata_signature and /v1/outcome, " +
				"also without /v1: check callback.server.address"})
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			s.refuse(w, &wire.Error{Code: wire.CodeMethod, Detail: "this endpoint takes POST only"})
		default:
			serve(w, r)
		}
	})
}

// endpoint serves one path: a request that is authentic and readable gets a signed decision, every other one an error.
func (s *Server) endpoint(path wire.Path, decide func(*http.Request, *asked) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.metrics.begin(stageRequest).stop()
		reply, err := s.answer(r, path, decide)
		if err != nil {
			s.log.Log(r.Context(), severity(err), "request refused", "path", string(path), "client", client(r), "error", err)
			s.refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(reply) // a client that is gone asks again and gets the same bytes
	}
}

func (s *Server) answer(r *http.Request, path wire.Path, decide func(*http.Request, *asked) ([]byte, error)) ([]byte, error) {
	body, err := s.receive(r)
	if err != nil {
		return nil, err
	}
	if err := s.throttle.enter(); err != nil { // only now, so that who sends slowly holds no place
		s.metrics.shed.Inc()
		return nil, err
	}
	defer s.throttle.leave()
	coming := s.cfg.Ledger.Expect()
	defer coming.Arrived()
	a, err := s.open(r, path, body)
	if err != nil {
		return nil, err
	}
	a.coming = &coming
	return decide(r, a)
}

// receive applies the limits of size and rate, and reads the body.
func (s *Server) receive(r *http.Request) ([]byte, error) {
	if r.ContentLength > s.cfg.BodyLimit {
		return nil, &wire.Error{Code: wire.CodeTooLarge, Detail: fmt.Sprintf("the body is over the limit of %d bytes", s.cfg.BodyLimit)}
	}
	if !s.limiter.allow(client(r), s.clock.Elapsed()) {
		return nil, &wire.Error{Code: wire.CodeRateLimited, Detail: "more requests from this address than are taken: ask again in a second"}
	}
	body, err := wire.ReadBody(r.Body, s.cfg.BodyLimit)
	if err != nil {
		if wire.CodeOf(err) == wire.CodeInternal {
			err = &wire.Error{Code: wire.CodeParse, Detail: "the body could not be read to its end"}
		}
		return nil, err
	}
	return body, nil
}

// open verifies and parses.
func (s *Server) open(r *http.Request, path wire.Path, body []byte) (*asked, error) {
	defer s.metrics.begin(stageOpen).stop()
	signature, err := wire.SignatureHeader(r.Header)
	if err != nil {
		s.metrics.badSignature("header")
		return nil, err
	}
	request, err := wire.OpenRequest(path, body, signature, s.keys)
	if err != nil {
		if wire.CodeOf(err) == wire.CodeSignature {
			s.metrics.badSignature(signatureFault(signature))
		}
		return nil, err
	}
	n := &s.nodes[request.Key]
	if n.ClientCertificate != nil && !n.ClientCertificate.Equal(clientCertificate(r)) {
		s.metrics.badSignature("certificate")
		return nil, &wire.Error{Code: wire.CodeSignature, Detail: "the connection was not made with the client certificate that is configured for node " + n.Name}
	}
	return &asked{Request: request, node: n, hash: sha256.Sum256(request.Signed)}, nil
}

// clientCertificate is the certificate that the client has shown the key of; nil: none.
func clientCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// signatureFault tells a signature that is none from one that fits no key.
func signatureFault(signature string) string {
	if _, err := hex.DecodeString(signature); err != nil {
		return "malformed"
	}
	return "unverified"
}

// client is the address that a request came from, without the port.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// severity is how loudly a refusal is logged: what anybody can cause at will is not to fill the log.
func severity(err error) slog.Level {
	if errors.Is(err, errOverloaded) {
		return slog.LevelDebug
	}
	switch wire.CodeOf(err) {
	case wire.CodeRateLimited:
		return slog.LevelDebug
	case wire.CodeUnavailable, wire.CodeInternal:
		return slog.LevelError
	}
	return slog.LevelWarn
}

// refuse answers with an error of the protocol, which never counts as a decision.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	code := wire.CodeOf(err)
	s.metrics.refused(string(code))
	if code == wire.CodeRateLimited || code == wire.CodeUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	status, body := wire.ErrorReply(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// wireError gives what the ledger or the store could not do its code on the wire. The text sent to the node is this
// server's; the cause is logged.
func wireError(err error) error {
	var known *wire.Error
	code, detail := wire.CodeInternal, "the server could not answer; its log says why"
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, ledger.ErrConflict):
		code, detail = wire.CodeConflict, ledger.ErrConflict.Error()
	case errors.Is(err, ledger.ErrExpired):
		code, detail = wire.CodeExpired, ledger.ErrExpired.Error()
	case errors.Is(err, ledger.ErrRevision):
		code, detail = wire.CodeUnavailable, "nothing was decided, since another policy was made active: ask again with the same body"
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrDamaged), isContextError(err):
		code, detail = wire.CodeUnavailable, "nothing was decided, since it could not be recorded: ask again with the same body"
	}
	return fmt.Errorf("%w (%w)", &wire.Error{Code: code, Detail: detail}, err)
}

// recordable is a name as it is recorded: hashed where it is too long or where there is none, so that every request has
// one. Such requests are always rejected.
func (a *asked) recordable(name string) string {
	switch {
	case name == "":
		return "sha256:" + a.hash.String()
	case len(name) > maxName:
		sum := ledger.Hash(sha256.Sum256([]byte(name)))
		return "sha256:" + sum.String()
	}
	return name
}

// ask is what the ledger has to know of a request.
func (a *asked) ask() ledger.Ask {
	c := &a.Check
	return ledger.Ask{
		Node: string(a.node.id), Path: a.Path, CallbackID: a.recordable(c.CallbackID), BodyHash: a.hash,
		SinoID: a.given(c.ExtraInfo.SinoID), RequestID: a.given(c.ExtraInfo.RequestID), RequestType: a.given(c.RequestType),
	}
}

// given is a name as it is recorded, "" where there is none.
func (a *asked) given(name string) string {
	if name == "" {
		return ""
	}
	return a.recordable(name)
}
