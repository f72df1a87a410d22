package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// fileBinding says which keys and paths are a wallet's or a vault's: each path with each key.
type fileBinding struct {
	Keys  []string `json:"keys"`  // root public keys
	Paths []string `json:"paths"` // "m/44/60/0/0/0", or "m/44/60/*" for all that is under it
}

// bindings is who owns which keys and paths. Nothing has two owners.
type bindings struct {
	IDs  map[string]bool       `json:"ids"`
	Keys map[string]*boundKeys `json:"keys"` // by root public key
}

type boundKeys struct {
	Paths map[string]string `json:"paths"` // path -> id
	Under map[string]string `json:"under"` // path without the "/*" -> id
}

// boundPath is a path of public derivation (BIP-32), all of its numbers in one form.
var boundPath = regexp.MustCompile(`^m(/(0|[1-9][0-9]{0,9}))*(/\*)?$`)

// owner is whose key and path they are, "" if nobody's; rego/wallets.rego says the same.
func (b *bindings) owner(key, path string) string {
	k := b.Keys[key]
	if k == nil {
		return ""
	}
	path = cmp.Or(path, "m")
	if id, ok := k.Paths[path]; ok {
		return id
	}
	for i := strings.LastIndexByte(path, '/'); i >= 0; i = strings.LastIndexByte(path, '/') {
		path = path[:i]
		if id, ok := k.Under[path]; ok {
			return id
		}
	}
	return ""
}

// bound validates the wallets or vaults of data.json.
func (c *compiler) bound(of string, files map[string]fileBinding) *bindings {
	b := &bindings{IDs: make(map[string]bool, len(files)), Keys: map[string]*boundKeys{}}
	type place struct {
		at             []string
		id, key, value string
	}
	var places []place
	for _, id := range sortedKeys(files) {
		at, f := []string{of, id}, files[id]
		if id == "" || len(f.Keys) == 0 || len(f.Paths) == 0 {
			c.add(at, "needs an id as tx_info has it, keys (root public keys) and paths, such as \"m/44/60/0/0/0\" or \"m/44/60/*\"")
		}
		b.IDs[id] = true
		for i, key := range f.Keys {
			c.publicKey(under(at, "keys", fmt.Sprint(i)), key)
			for j, path := range f.Paths {
				places = append(places, place{under(at, "paths", fmt.Sprint(j)), id, key, path})
			}
		}
	}
	for _, p := range places {
		if !boundPath.MatchString(p.value) {
			c.add(p.at, "%q is no path such as \"m/44/60/0/0/0\", or \"m/44/60/*\" for all under it", p.value)
			continue
		}
		b.bind(p.key, p.value, p.id, func(other string) {
			c.add(p.at, "%s of key %s is also that of %q: nobody could tell whose a request is", p.value, p.key, other)
		})
	}
	// Whole paths and what they are under may be of two: looked at once all is there.
	for _, p := range places {
		for _, above := range ancestors(p.value) {
			if k := b.Keys[p.key]; k != nil && k.Under[above] != "" && k.Under[above] != p.id {
				c.add(p.at, "%s of key %s is also under \"%s/*\" of %q: nobody could tell whose a request is", p.value, p.key, above, k.Under[above])
			}
		}
	}
	return b
}

// bind notes an owner, and tells of another one that has the same already.
func (b *bindings) bind(key, path, id string, twice func(other string)) {
	k := b.Keys[key]
	if k == nil {
		k = &boundKeys{Paths: map[string]string{}, Under: map[string]string{}}
		b.Keys[key] = k
	}
	list := k.Paths
	if above, ok := strings.CutSuffix(path, "/*"); ok {
		list, path = k.Under, above
	}
	if other, ok := list[path]; ok && other != id {
		twice(other)
		return
	}
	list[path] = id
}

// ancestors are the paths that a path, or all that is under one, is under; nearest first.
func ancestors(path string) []string {
	path = strings.TrimSuffix(path, "/*")
	var out []string
	for i := strings.LastIndexByte(path, '/'); i >= 0; i = strings.LastIndexByte(path, '/') {
		path = path[:i]
		out = append(out, path)
	}
	return out
}

// namesBound refuses what hangs on claims of the requester alone: windows by wallet or vault, and limits for some of them,
// where nothing says which keys these have.
func (c *compiler) namesBound() {
	if c.file.UnboundWallets {
		return
	}
	const instead = "; bind them, or say \"unbound_wallets\": true, and whoever asks chooses the wallet that is counted"
	for _, id := range sortedKeys(c.file.Windows) {
		for _, of := range []struct{ scope, key string }{{"wallet", "wallets"}, {"vault", "vaults"}} {
			if slices.Contains(c.file.Windows[id].Scope, of.scope) && len(c.boundBy(of.key).IDs) == 0 {
				c.add([]string{"windows", id, "scope"}, "counts by %s, which is what the requester claims: /%s binds none to its keys and paths"+instead, of.scope, of.key)
			}
		}
	}
	for _, symbol := range sortedKeys(c.file.Limits) {
		for _, asset := range sortedKeys(c.file.Limits[symbol]) {
			for i, limit := range c.file.Limits[symbol][asset] {
				at := []string{"limits", symbol, asset, fmt.Sprint(i)}
				c.listBound(under(at, "wallets"), "wallets", limit.Wallets, instead)
				c.listBound(under(at, "vaults"), "vaults", limit.Vaults, instead)
			}
		}
	}
}

func (c *compiler) listBound(at []string, of string, ids []string, instead string) {
	for _, id := range ids {
		if id != "" && !c.boundBy(of).IDs[id] {
			c.add(at, "%q is what the requester claims: /%s does not bind it to its keys and paths%s", id, of, instead)
		}
	}
}

func (c *compiler) boundBy(of string) *bindings {
	if of == "vaults" {
		return c.data.vaults
	}
	return c.data.wallets
}

// claimed checks what a window counts by, where that is a claim: problem is why it does not count, "" if it does.
func (d *Data) claimed(scope, value string, in *Input) (problem string) {
	list := map[string]*bindings{"wallet": d.wallets, "vault": d.vaults}[scope]
	if list == nil || d.unbound {
		return ""
	}
	if owner := list.owner(in.Request.PublicKey, in.Request.Path); owner != value {
		return fmt.Sprintf("%q is not whose key and path data.json %ss binds", value, scope)
	}
	return ""
}
