package mpcapi

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/wire"
)

func (a *api) keygen(r *http.Request, c caller) (reply, error) {
	body, err := readBody[keygenBody](r)
	if err != nil {
		return reply{}, err
	}
	return a.keygenOrder(r, c, body.commonFields, body.keygenFields)
}

func (a *api) keygenOrder(r *http.Request, c caller, common commonFields, keygen keygenFields) (reply, error) {
	o, err := common.order(r, c.account)
	if err != nil {
		return reply{}, err
	}
	keygen.complete(&o, common)
	return a.submit(r, o, "")
}

func (a *api) sign(r *http.Request, c caller) (reply, error) {
	body, err := readBody[signBody](r)
	if err != nil {
		return reply{}, err
	}
	return a.signOrder(r, c, body.commonFields, body.signFields)
}

func (a *api) signOrder(r *http.Request, c caller, common commonFields, sign signFields) (reply, error) {
	o, err := common.order(r, c.account)
	if err != nil {
		return reply{}, err
	}
	if err := sign.complete(&o, common); err != nil {
		return reply{}, err
	}
	return a.submit(r, o, sign.MessageHash)
}

func (a *api) createSession(r *http.Request, c caller) (reply, error) {
	body, err := readBody[sessionBody](r)
	if err != nil {
		return reply{}, err
	}
	switch body.SessionType {
	case "keygen":
		if body.RequestType == wire.TypeKeygen {
			body.RequestType = ""
		}
		if !reflect.ValueOf(body.signFields).IsZero() {
			return reply{}, invalid("session_type", "a keygen session takes no fields of a signature")
		}
		return a.keygenOrder(r, c, body.commonFields, body.keygenFields)
	case "sign":
		if body.Cryptography != "" {
			return reply{}, invalid("cryptography", "the key of a sign session has one already")
		}
		return a.signOrder(r, c, body.commonFields, body.signFields)
	default:
		return reply{}, invalid("session_type", "it is keygen or sign")
	}
}

// submit submits an order and answers with its session, once the request is over where the caller waits.
func (a *api) submit(r *http.Request, o coordinator.Order, messageHash string) (reply, error) {
	wait, _, err := waitOf(r)
	if err != nil {
		return reply{}, err
	}
	st, created, err := a.cfg.Coordinator.Submit(r.Context(), o)
	if err != nil {
		return reply{}, err
	}
	if wait > 0 {
		if st, err = a.wait(r.Context(), o.Account, st.Request.SinoID, wait, coordinator.UntilFinal); err != nil {
			return reply{}, err
		}
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	out := viewCreated(st)
	out.MessageHash = messageHash
	if wait > 0 {
		view := viewRequest(st)
		out.Request = &view
	}
	return reply{status, out}, nil
}

func (a *api) wait(ctx context.Context, account, id string, wait time.Duration, since uint64) (coordinator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return a.cfg.Coordinator.Wait(ctx, account, id, since)
}

// waitOf reads ?wait=seconds and &since=revision: how long a call may be held, and the revision that the caller has seen.
// Without since it is held until the request is over.
func waitOf(r *http.Request) (wait time.Duration, since uint64, err error) {
	query := r.URL.Query()
	since = coordinator.UntilFinal
	if text := query.Get("wait"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 16)
		if err != nil || time.Duration(seconds)*time.Second > MaxWait {
			return 0, 0, invalid("wait", "it is a number of seconds, "+strconv.Itoa(int(MaxWait/time.Second))+" at most")
		}
		wait = time.Duration(seconds) * time.Second
	}
	if text := query.Get("since"); text != "" {
		if since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, invalid("since", "it is a revision as a request shows it")
		}
	}
	return wait, since, nil
}

// parameter reads a part of the path.
func parameter(r *http.Request, name string) (string, error) {
	text, err := url.PathUnescape(chi.URLParam(r, name))
	if err != nil {
		return "", invalid(name, "the path is not well escaped")
	}
	return text, nil
}

func (a *api) request(r *http.Request, c caller) (reply, error) {
	id, err := parameter(r, "id")
	if err != nil {
		return reply{}, err
	}
	wait, since, err := waitOf(r)
	if err != nil {
		return reply{}, err
	}
	st, err := a.cfg.Coordinator.Request(r.Context(), c.account, id)
	if err == nil && wait > 0 {
		st, err = a.wait(r.Context(), c.account, id, wait, since)
	}
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, viewRequest(st)}, nil
}

func (a *api) session(r *http.Request, c caller) (reply, error) {
	id, err := parameter(r, "id")
	if err != nil {
		return reply{}, err
	}
	wait, since, err := waitOf(r)
	if err != nil {
		return reply{}, err
	}
	sess, st, err := a.cfg.Coordinator.Session(r.Context(), c.account, id)
	if err == nil && wait > 0 {
		if _, err = a.wait(r.Context(), c.account, st.Request.SinoID, wait, since); err == nil {
			sess, st, err = a.cfg.Coordinator.Session(r.Context(), c.account, id)
		}
	}
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, viewSession(sess, st)}, nil
}
