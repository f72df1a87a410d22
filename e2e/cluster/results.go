package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Callback runs one of the commands of callback that call its admin API.
func (c *Cluster) Callback(ctx context.Context, args ...string) (string, error) {
	return c.Command(ctx, "", "callback", append(args, "--server", "http://"+c.Ports.CallbackAdmin, "--token-file", c.TokenPath())...)
}

// Result is what the callback keeps of a request's signature.
type Result struct {
	Status     string `json:"status"`
	Message    string `json:"message"`
	Signature  string `json:"signature"`
	Ciphertext string `json:"ciphertext"`
}

// Results lists the ids of the results that the callback has of a request.
func (c *Cluster) Results(ctx context.Context, requestID string) ([]string, error) {
	out, err := c.Callback(ctx, "results", "list", "--request-id", requestID, "--json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Results []struct {
			ID string `json:"id"`
		} `json:"results"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range list.Results {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// Result waits until the callback has a result of a request.
func (c *Cluster) Result(ctx context.Context, requestID string) (result Result, err error) {
	err = Eventually(ctx, "the callback to have the result of "+requestID, func() (bool, error) {
		ids, err := c.Results(ctx, requestID)
		if err != nil {
			return false, err
		}
		if len(ids) == 0 {
			return false, errors.New("there is none")
		}
		out, err := c.Callback(ctx, "results", "get", ids[0], "--json")
		if err != nil {
			return true, err
		}
		return true, json.Unmarshal([]byte(out), &result)
	})
	return result, err
}

// LiesOpen looks for a signature, as it is and in hex, in the logs of all processes and in files of the cluster. Its error says
// where it was found.
func (c *Cluster) LiesOpen(signature []byte, files ...string) error {
	text := hex.EncodeToString(signature)
	for _, name := range append([]string{"coordinator", "callback"}, NodeNames...) {
		log, err := c.Log(name)
		if err != nil {
			return err
		}
		if strings.Contains(log, text) {
			return fmt.Errorf("the signature is in the log of %s", name)
		}
	}
	for _, name := range files {
		data, err := os.ReadFile(c.path(name))
		if err != nil {
			return err
		}
		if bytes.Contains(data, signature) || bytes.Contains(data, []byte(text)) {
			return fmt.Errorf("the signature lies open in %s", name)
		}
	}
	return nil
}
