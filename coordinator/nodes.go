package coordinator

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Bind lets a node connect and be a party of the account's keys, under a name that is unique in the account. Binding it
// again under the same name changes nothing. Several accounts may bind one node, as platform nodes are.
func (c *Coordinator) Bind(ctx context.Context, account, nodeID, name string) (BoundNode, error) {
	if err := checkAccount(account); err != nil {
		return BoundNode{}, err
	}
	id, err := wire.ParseNodeID(nodeID)
	if err != nil {
		return BoundNode{}, refuse(CodeInvalid, "bind node: %v", err).field("node_id", err.Error())
	}
	if !nodeName.MatchString(name) {
		const problem = "1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit"
		return BoundNode{}, refuse(CodeInvalid, "bind node: name is %s", problem).field("name", problem)
	}
	var node *Node
	err = c.update(ctx, func(s *step) (err error) {
		node, err = s.bind(account, id, name)
		return err
	})
	if err != nil {
		return BoundNode{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boundNode(account, node), nil
}

func (s *step) bind(account string, id wire.NodeID, name string) (*Node, error) {
	holder, err := s.Get(TableNames, keyOf(account, name))
	if err != nil {
		return nil, fmt.Errorf("read node name: %w", err)
	}
	if holder != nil && wire.NodeID(holder) != id {
		return nil, refuse(CodeNameTaken, "the name %s is that of node %s already: choose another", name, wire.NodeID(holder).Short()).field("name", "taken")
	}
	node, err := get[Node](s, TableNodes, string(id))
	if err != nil {
		return nil, err
	}
	if node == nil {
		node = &Node{ID: id, Names: make(map[string]string)}
	}
	if old, ok := node.Names[account]; ok {
		if old != name {
			return nil, refuse(CodeAlreadyBound, "node %s is bound as %s already", id.Short(), old).field("node_id", "bound as "+old)
		}
		return node, nil
	}
	bound, err := s.keys(TableNames, prefixOf(account), s.c.limits.BoundNodes)
	if err != nil {
		return nil, err
	}
	if len(bound) >= s.c.limits.BoundNodes {
		return nil, refuse(CodeTooMany, "this account has bound %d nodes, the most that is allowed", len(bound))
	}
	node.Names[account] = name
	if err := s.Put(TableNames, keyOf(account, name), []byte(id)); err != nil {
		return nil, fmt.Errorf("store node name: %w", err)
	}
	s.info("node bound", "account", account, "name", name, "node", id.Short())
	return node, put(s, TableNodes, string(id), node)
}

// Nodes lists the nodes that an account has bound, by name.
func (c *Coordinator) Nodes(ctx context.Context, account string) ([]BoundNode, error) {
	var nodes []*Node
	err := c.view(ctx, func(s *step) error {
		nodes = nil
		prefix := prefixOf(account)
		var ids []string
		err := s.Scan(TableNames, prefix, prefix, func(_ string, id []byte) (bool, error) {
			ids = append(ids, string(id))
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("list nodes: %w", err)
		}
		for _, id := range ids {
			node, err := must[Node](s, TableNodes, id)
			if err != nil {
				return err
			}
			nodes = append(nodes, node)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]BoundNode, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, c.boundNode(account, n))
	}
	return out, nil
}

// boundNode is a node as an account sees it. The caller holds c.mu.
func (c *Coordinator) boundNode(account string, n *Node) BoundNode {
	_, online := c.peers[n.ID]
	return BoundNode{ID: n.ID, Name: n.Names[account], Online: online, Software: n.Software, LastSeen: n.LastSeen}
}

// displayName is the name under which a node is welcomed: that of the first account, in the order of their names.
func (n *Node) displayName() string {
	for _, account := range slices.Sorted(maps.Keys(n.Names)) {
		return n.Names[account]
	}
	return n.ID.Short()
}

// resolve finds the nodes that a requester names, by id or by the name under which the account bound them.
func (s *step) resolve(account string, participants []Participant) ([]Seat, error) {
	seats := make([]Seat, 0, len(participants))
	for i, p := range participants {
		where := fmt.Sprintf("participants[%d].party_id", i)
		node, err := s.lookUp(account, p.Party)
		if err != nil {
			return nil, err
		}
		if node == nil {
			return nil, refuse(CodeInvalid, "participant %d is no node of this account: bind it first (POST /api/v1/nodes)", i+1).field(where, "not bound")
		}
		for _, other := range seats {
			if other.NodeID == node.ID {
				return nil, refuse(CodeInvalid, "node %s is named twice in participants", other.Name).field(where, "named twice")
			}
		}
		seats = append(seats, Seat{NodeID: node.ID, Name: node.Names[account], Label: p.Party, DeviceType: p.DeviceType, DeviceID: p.DeviceID})
	}
	return seats, nil
}

// lookUp finds the node behind a party's name or id; nil if the account has bound no such node.
func (s *step) lookUp(account, party string) (*Node, error) {
	id := party
	if nodeName.MatchString(party) {
		bound, err := s.Get(TableNames, keyOf(account, party))
		if err != nil {
			return nil, fmt.Errorf("read node name: %w", err)
		}
		id = string(bound)
	}
	if _, err := wire.ParseNodeID(id); err != nil {
		return nil, nil // neither a name that is bound nor a node id
	}
	node, err := get[Node](s, TableNodes, id)
	if err != nil || node == nil || node.Names[account] == "" {
		return nil, err
	}
	return node, nil
}

// clip bounds what an error repeats of its input.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
