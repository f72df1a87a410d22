package ledger

// ParseStoredApproval and MarshalStoredApproval are the stored form of an approval, for the fuzz test.
func ParseStoredApproval(b []byte) (*Approval, error) { return parseApproval(b) }

// MarshalStoredApproval is the other way.
func MarshalStoredApproval(a *Approval) ([]byte, error) { return a.marshal() }
