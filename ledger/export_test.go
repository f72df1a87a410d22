package ledger

import "time"

// ParseStoredApproval and MarshalStoredApproval are the stored form of an approval, for the fuzz test.
func ParseStoredApproval(b []byte) (*Approval, error) { return parseApproval(b) }

// MarshalStoredApproval is the other way.
func MarshalStoredApproval(a *Approval) ([]byte, error) { return a.marshal() }

// ParseStoredProposal and MarshalStoredProposal are the stored form of a proposal, for the fuzz test.
func ParseStoredProposal(b []byte) (*Proposal, error) { return parseProposal(b) }

// MarshalStoredProposal is the other way.
func MarshalStoredProposal(p *Proposal) ([]byte, error) { return p.marshal() }

// Since is the last moment before a window.
func Since(p Period, now time.Time) (time.Time, bool) { return p.since(now) }
