package mpcapi

import (
	"net/http"

	"github.com/countersign-mpc/countersign/coordinator"
)

// nodeView is a node that the account has bound.
type nodeView struct {
	NodeID   string `json:"node_id"`
	Name     string `json:"name"`
	Online   bool   `json:"online"`
	Software string `json:"software,omitempty"`
	LastSeen int64  `json:"last_seen,omitempty"`
}

func viewNode(n coordinator.BoundNode) nodeView {
	return nodeView{NodeID: string(n.ID), Name: n.Name, Online: n.Online, Software: n.Software, LastSeen: unix(n.LastSeen)}
}

type bindBody struct {
	NodeID string `json:"node_id"`
	Name   string `json:"name"`
}

func (a *api) bindNode(r *http.Request, c caller) (reply, error) {
	body, err := readBody[bindBody](r)
	if err != nil {
		return reply{}, err
	}
	node, err := a.cfg.Coordinator.Bind(r.Context(), c.account, body.NodeID, body.Name)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, viewNode(node)}, nil
}

func (a *api) listNodes(r *http.Request, c caller) (reply, error) {
	nodes, err := a.cfg.Coordinator.Nodes(r.Context(), c.account)
	if err != nil {
		return reply{}, err
	}
	out := struct {
		Nodes []nodeView `json:"nodes"`
	}{Nodes: []nodeView{}}
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, viewNode(n))
	}
	return reply{http.StatusOK, out}, nil
}
