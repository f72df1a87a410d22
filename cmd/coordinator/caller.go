package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/countersign-mpc/countersign/wire"
)

// caller calls the coordinator's REST interface.
type caller struct{ base, key string }

// nodeIDs resolves the names of a keygen's participants: the requester signs node ids.
func (a caller) nodeIDs(ctx context.Context, b requestBody) ([]wire.NodeID, error) {
	answer, err := a.call(ctx, http.MethodGet, "/api/v1/nodes", nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Nodes []struct {
			NodeID string `json:"node_id"`
			Name   string `json:"name"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("read the coordinator's answer: %w", err)
	}
	byName := make(map[string]string, len(list.Nodes))
	for _, n := range list.Nodes {
		byName[n.Name] = n.NodeID
	}
	var ids []wire.NodeID
	for _, p := range b.Participants {
		text := p.PartyID
		if bound, ok := byName[text]; ok {
			text = bound
		}
		id, err := wire.ParseNodeID(text)
		if err != nil {
			return nil, fmt.Errorf("participant %q is neither the name of a bound node nor a node id: %w", p.PartyID, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// call does one call and returns the body of a good answer.
func (a caller) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		in = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, in)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-API-Key", a.key)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the key would go along
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no coordinator answers at %s: %w", a.base, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the coordinator's answer: %w", err)
	}
	if response.StatusCode < 300 {
		return answer, nil
	}
	var refusal struct {
		Code    string `json:"error"`
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &refusal) != nil || refusal.Code == "" {
		return nil, fmt.Errorf("%s answered HTTP %d: is that the coordinator's REST address?", a.base, response.StatusCode)
	}
	return nil, fmt.Errorf("the coordinator refused: %s: %s", refusal.Code, refusal.Message)
}
