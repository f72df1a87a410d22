package prover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/policy"
)

// Bounds on what goes over the pipes, in bytes.
const (
	maxArchive = 1 << 31
	maxAnswer  = 1 << 20
	maxRefusal = 256 << 10 // of it
	maxFault   = 300
)

// answerFormat is the first thing in an answer: the version of its form (docs/FORMATS.md, "policy").
const answerFormat = "countersign/policy-proof/v1"

// answer is what the process says of a policy.
type answer struct {
	Format   string `json:"format"`
	Archive  string `json:"archive"`  // hex SHA-256 of what it was given
	Revision string `json:"revision"` // "" where Refused
	Passed   int    `json:"passed"`   // tests; all there are, above zero, unless Refused
	Refused  string `json:"refused"`  // why the policy does not pass; "" if it does
}

// Serve reads a policy's archive to its end, proves it and writes what came of it. The process has a low priority from then
// on. An error says that nothing was found out.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout) // also when nobody waits any more
	defer cancel()
	standBack(os.Getenv(idleVariable) != "")
	archive, err := io.ReadAll(io.LimitReader(in, maxArchive))
	if err != nil {
		return fmt.Errorf("read a policy to test: %w", err)
	}
	source, err := policy.ParseArchive(archive)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(archive)
	a := answer{Format: answerFormat, Archive: hex.EncodeToString(sum[:])}
	proof, err := policy.Prove(ctx, source)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		text := err.Error()
		a.Refused = text[:min(len(text), maxRefusal)]
	default:
		a.Revision, a.Passed = proof.Revision, proof.Passed
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}

// readAnswer takes an answer only as a whole, and about the archive that was given.
func readAnswer(b []byte, archive [sha256.Size]byte) (policy.Proof, error) {
	text, whole := bytes.CutSuffix(b, []byte("\n"))
	var a answer
	if err := jsonv2.Unmarshal(text, &a, jsonv2.RejectUnknownMembers(true)); err != nil || !whole {
		return policy.Proof{}, errors.New("the process that tests the policy gave no answer that can be read")
	}
	switch {
	case a.Format != answerFormat:
		return policy.Proof{}, errors.New("the process that tests the policy answers in another form")
	case a.Archive != hex.EncodeToString(archive[:]):
		return policy.Proof{}, errors.New("the process that tests the policy answers about another policy")
	case a.Refused != "":
		return policy.Proof{}, errors.New(a.Refused)
	case a.Passed < 1 || a.Revision == "":
		return policy.Proof{}, errors.New("the process that tests the policy tells of no test that passed")
	}
	return policy.Proof{Revision: a.Revision, Passed: a.Passed}, nil
}
