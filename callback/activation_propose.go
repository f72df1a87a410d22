package callback

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

const (
	// effectEntries is over how many of the newest recorded decisions a proposal is judged, effectFlips how many of those that flip
	// stand in its effect one by one; the sums are over all.
	effectEntries = 20_000
	effectFlips   = 1_000
)

// Effect is what a proposal would change, as approvers see it: the document that they sign the hash of.
type Effect struct {
	From string `json:"from"` // revision that was active
	Backtest
	Flipped int    `json:"flipped"` // decisions that flip: flips lists the first of them
	First   string `json:"first"`   // id of the oldest decision that was judged again; "" for none
	Last    string `json:"last"`
	// Since is the time of the first one, at which all windows are empty: what was approved before counts in none, so that a window
	// of a lifetime or a long period is judged too mildly. Older: there may be older decisions, since as many were judged as are at most.
	Since time.Time `json:"since,omitzero"`
	Older bool      `json:"older"`
}

// ProposalList is the answer to GET /admin/v1/policy/proposals.
type ProposalList struct {
	Proposals []ledger.Proposal `json:"proposals"`
}

// ProposalView is a proposal with everything that an approver must see before signing.
type ProposalView struct {
	ledger.Proposal
	FromPolicy PolicyText `json:"from_policy"`
	ToPolicy   PolicyText `json:"to_policy"`
	// DiffDocument and EffectDocument are JSON, byte for byte as they are hashed: of a policy.Diff and an Effect.
	DiffDocument   string `json:"diff_document"`
	EffectDocument string `json:"effect_document"`
	// Signing is what is signed for either vote, as ledger.PolicyChangeSigningBytes makes it.
	Signing Signing `json:"signing"`
}

// DiffDocument is the difference of two policies as it is hashed into a proposal.
func DiffDocument(from, to *policy.Engine) ([]byte, error) {
	d, err := from.Compare(to)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// proposePolicy serves POST /admin/v1/policy/proposals.
func (s *Server) proposePolicy(r *http.Request) (any, error) {
	var asked PolicyRequest
	if err := readJSONUpTo(r, &asked, maxPolicyBody); err != nil {
		return nil, err
	}
	if asked.Proposal != "" {
		return nil, &adminError{http.StatusBadRequest, "a proposal is made of a policy or of a revision"}
	}
	if !s.proposing.TryLock() {
		return nil, &adminError{http.StatusConflict, "another proposal is being judged: try again when that is done"}
	}
	defer s.proposing.Unlock()
	ctx := r.Context()
	if err := s.CatchUp(ctx); err != nil {
		return nil, err
	}
	active, err := s.cfg.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}
	current := s.cfg.Policy.Engine()
	if active.Number == 0 || current.Revision() != active.Revision {
		return nil, fmt.Errorf("%w: try again", ledger.ErrRevision)
	}
	if err := sameGuard(current, active); err != nil {
		return nil, err
	}
	candidate, err := s.candidate(ctx, &asked)
	if err != nil {
		return nil, err
	}
	diff, err := DiffDocument(current, candidate)
	if err != nil {
		return nil, err
	}
	effect, err := s.effect(ctx, active.Revision, candidate)
	if err != nil {
		return nil, err
	}
	document, err := json.Marshal(effect)
	if err != nil {
		return nil, err
	}
	name, keys := proposer(ctx)
	p, err := s.cfg.Ledger.Propose(ctx, ledger.Draft{
		Base: active.Number, Revision: candidate.Revision(), Content: contentOf(candidate), Diff: diff, Effect: document, Judged: effect.Judged,
		Proposer: name, ProposerKeys: keys, Anonymous: name == tokenHolder, Reason: asked.Reason,
	})
	if err != nil {
		return nil, err
	}
	s.log.WarnContext(ctx, "policy proposed", "proposal", p.ID, "from", p.From, "to", p.To, "judged", effect.Judged, "flips", effect.Flipped, "operator", name)
	return s.viewProposal(ctx, p.ID)
}

// effect judges the newest recorded decisions by a candidate.
func (s *Server) effect(ctx context.Context, from string, candidate *policy.Engine) (*Effect, error) {
	past, n, err := PastOfLog(ctx, s.cfg.Ledger, s.effectMost)
	if err != nil {
		return nil, err
	}
	out := &Effect{From: from, Older: n >= s.effectMost}
	b, err := RunBacktest(ctx, candidate, s.cfg.Keys, func(yield func(Past, error) bool) {
		for p, err := range past {
			if out.First == "" {
				out.First, out.Since = p.ID, p.Time.UTC()
			}
			out.Last = p.ID
			if !yield(p, err) {
				return
			}
		}
	}, nil)
	if err != nil {
		return nil, err
	}
	out.Backtest, out.Flipped = *b, len(b.Flips)
	out.Flips = b.Flips[:min(len(b.Flips), effectFlips)]
	return out, nil
}

// proposer is who proposes: the operator's name, and the id of the key of its client certificate.
func proposer(ctx context.Context) (name string, keys []string) {
	p, _ := ctx.Value(principalKey{}).(*principal)
	if p == nil {
		return tokenHolder, nil
	}
	if p.cert != nil {
		if der, err := x509.MarshalPKIXPublicKey(p.cert.PublicKey); err == nil {
			sum := sha256.Sum256(der)
			keys = []string{hex.EncodeToString(sum[:])}
		}
	}
	return p.name, keys
}

// proposed builds the policy of a proposal.
func (s *Server) proposed(ctx context.Context, id string) (*policy.Engine, error) {
	p, err := s.cfg.Ledger.Proposed(ctx, id)
	if err != nil {
		return nil, err
	}
	source, err := policy.ParseArchive(p.Policy)
	if err != nil {
		return nil, fmt.Errorf("%w: proposal %s: %w", ledger.ErrDamaged, p.ID, err)
	}
	if err := s.onlySigned(source); err != nil {
		return nil, err
	}
	e, err := s.cfg.Policy.Build(ctx, source)
	if err != nil {
		return nil, &adminError{http.StatusUnprocessableEntity, "the proposed policy does not pass: " + err.Error()}
	}
	if e.Revision() != p.To {
		return nil, fmt.Errorf("%w: the policy of proposal %s is %s, and %s was proposed", ledger.ErrDamaged, p.ID, e.Revision(), p.To)
	}
	return e, nil
}

// listProposals serves GET /admin/v1/policy/proposals.
func (s *Server) listProposals(r *http.Request) (any, error) {
	list, err := s.cfg.Ledger.Proposals(r.Context())
	if err != nil {
		return nil, err
	}
	return ProposalList{append([]ledger.Proposal{}, list...)}, nil
}

// showProposal serves GET /admin/v1/policy/proposals/{id}.
func (s *Server) showProposal(r *http.Request) (any, error) {
	return s.viewProposal(r.Context(), chi.URLParam(r, "id"))
}

func (s *Server) viewProposal(ctx context.Context, id string) (*ProposalView, error) {
	p, err := s.cfg.Ledger.Proposed(ctx, id)
	if err != nil {
		return nil, err
	}
	from, err := s.cfg.Ledger.Revision(ctx, p.From)
	if err != nil {
		return nil, err
	}
	fromSource, err := policy.ParseArchive(from)
	if err != nil {
		return nil, err
	}
	toSource, err := policy.ParseArchive(p.Policy)
	if err != nil {
		return nil, err
	}
	return &ProposalView{
		Proposal: p.Proposal, FromPolicy: PolicyTextOf(fromSource), ToPolicy: PolicyTextOf(toSource),
		DiffDocument: string(p.DiffDocument), EffectDocument: string(p.EffectDocument),
		Signing: Signing{ledger.PolicyChangeSigningBytes(p.Proposal, ledger.VoteApprove), ledger.PolicyChangeSigningBytes(p.Proposal, ledger.VoteReject)},
	}, nil
}

// takePolicyVote serves POST /admin/v1/policy/proposals/{id}/signatures.
func (s *Server) takePolicyVote(r *http.Request) (any, error) {
	var vote ledger.Signed
	if err := readJSON(r, &vote); err != nil {
		return nil, err
	}
	id := chi.URLParam(r, "id")
	p, err := s.cfg.Ledger.VoteOnProposal(r.Context(), id, vote)
	if err != nil {
		s.metrics.voted("refused")
		s.log.WarnContext(r.Context(), "vote on a policy refused", "proposal", clip(id, keyIDLength), "operator", operatorOf(r.Context()), "error", err)
		return nil, err
	}
	s.metrics.voted(string(vote.Decision))
	s.log.WarnContext(r.Context(), "vote on a policy recorded", "proposal", p.ID, "approver", vote.Approver, "decision", string(vote.Decision), "state", string(p.State), "operator", operatorOf(r.Context()))
	return p, nil
}
