package node

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// keepRecent is how many sessions that are over a node remembers, until it is stopped.
const keepRecent = 200

// SessionInfo is one session as an operator sees it. It holds ids, states and reasons, nothing that is signed and no secret.
type SessionInfo struct {
	SessionID string         `json:"session_id"`
	SinoID    string         `json:"sino_id"`
	RequestID string         `json:"request_id,omitempty"`
	Type      string         `json:"type"`
	KeyID     string         `json:"key_id"`
	Parties   []SessionParty `json:"parties"`
	State     string         `json:"state"`
	Since     time.Time      `json:"since"` // of the state
	Reason    string         `json:"reason,omitempty"`
	Culprit   int            `json:"culprit,omitempty"` // index of the party that is known to have broken the protocol
}

// SessionParty is one party of a session.
type SessionParty struct {
	Index  int    `json:"index"`
	NodeID string `json:"node_id"`
}

// The states of a session. Before it is joined its state is that of its request: asking, waiting or approved.
const (
	sessionGathering = "gathering" // joined: not all parties' contributions are there
	sessionComputing = "computing" // the protocol runs
	sessionCompleted = "completed"
	sessionReleased  = string(StateReleased)
	sessionFailed    = "failed"
)

// Sessions lists the sessions that are offered to this node or run, the newest first, then those that are over, the newest
// first. Those that are over are remembered, 200 of them, until the process ends.
func (n *Node) Sessions() []SessionInfo {
	p := n.working.Load()
	if p == nil {
		return n.recent.list()
	}
	p.mu.Lock() // over both lists: a session that ends is in one of them
	defer p.mu.Unlock()
	return append(p.openSessions(), n.recent.list()...)
}

// openSessions lists those that are offered or run. The caller holds mu.
func (p *party) openSessions() []SessionInfo {
	out := []SessionInfo{}
	for _, r := range p.requests {
		if r.seat != nil {
			out = append(out, r.offered())
		}
	}
	for _, s := range p.sessions {
		state, since := sessionGathering, s.joined
		if !s.began.IsZero() {
			state, since = sessionComputing, s.began
		}
		out = append(out, s.info(since, state, nil))
	}
	slices.SortFunc(out, func(a, b SessionInfo) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.SessionID, b.SessionID))
	})
	return out
}

// offered is the session in which a request has its seat. The caller holds the party's mu.
func (r *request) offered() SessionInfo {
	info := describe(r.seat.session, r.record, r.seat.parties)
	info.State, info.Since, info.Reason = string(r.record.State), r.seat.since, r.record.Reason
	return info
}

// ended is a session that was not joined.
func (i SessionInfo) ended(now time.Time, why *signing.Abort) SessionInfo {
	i.State, i.Since, i.Reason = sessionFailed, now, clip(abortText(why), maxTold)
	return i
}

// info is a session that was joined.
func (s *session) info(since time.Time, state string, why *signing.Abort) SessionInfo {
	info := describe(s.id, s.record, s.manifest.Parties)
	info.State, info.Since = state, since
	if why != nil {
		info.Reason, info.Culprit = clip(abortText(why), maxTold), int(why.Culprit)
	}
	return info
}

// result is the state of a session that came to its end.
func (s *session) result() string {
	if s.recipient.Index != 0 && s.recipient.Index != s.self {
		return sessionReleased
	}
	return sessionCompleted
}

func describe(session string, rec *requestRecord, parties []manifest.Party) SessionInfo {
	info := SessionInfo{SessionID: session, SinoID: rec.SinoID, RequestID: clip(rec.Terms.RequestID, maxExcerpt), Type: rec.Terms.Type, KeyID: rec.KeyID}
	for _, q := range parties {
		info.Parties = append(info.Parties, SessionParty{Index: int(q.Index), NodeID: string(q.NodeID)})
	}
	return info
}

// recentSessions are the sessions of a node that are over.
type recentSessions struct {
	mu   sync.Mutex // guards all
	all  []SessionInfo
	next int // the place of the oldest, once all places are taken
}

func (r *recentSessions) add(info SessionInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < keepRecent {
		r.all = append(r.all, info)
		return
	}
	r.all[r.next] = info
	r.next = (r.next + 1) % keepRecent
}

// list gives them, the newest first.
func (r *recentSessions) list() []SessionInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := append([]SessionInfo{}, r.all[r.next:]...) // an empty list is one in JSON too
	out = append(out, r.all[:r.next]...)
	slices.Reverse(out)
	return out
}
