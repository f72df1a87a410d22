package prop_test

import (
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prop"
)

// mutation is a reject rule of the shipped policy that is taken away.
type mutation struct {
	file, id string
	place    int // among the file's blocks
	line     string
}

var idLabel = regexp.MustCompile(`(?m)^#   id: (\S+)$`)

func mutations(s *policy.Source) []mutation {
	var out []mutation
	for file, text := range s.Modules {
		for place, block := range strings.Split(string(text), "\n\n") {
			label := idLabel.FindStringSubmatch(block)
			if at := strings.Index(block, "\nreject contains "); at >= 0 && label != nil {
				title := regexp.MustCompile(`# title: (.*)`).FindStringSubmatch(block)
				out = append(out, mutation{file, label[1], place, title[1]})
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].file < out[j].file || out[i].file == out[j].file && out[i].place < out[j].place
	})
	return out
}

func (m mutation) of(t testing.TB) *policy.Source {
	s := source(t)
	blocks := strings.Split(string(s.Modules[m.file]), "\n\n")
	s.Modules[m.file] = []byte(strings.Join(slices.Delete(blocks, m.place, m.place+1), "\n\n"))
	return s
}

// catch tries the properties until one does not hold, those about the mutated rule first.
func (m mutation) catch(t testing.TB, list []prop.Property) string {
	e, err := policy.New(t.Context(), policy.Config{Source: m.of(t)})
	if err != nil {
		return "no engine: " + strings.TrimSpace(err.Error())
	}
	known := map[string]bool{}
	for _, r := range e.Rules() {
		known[r.ID] = true
	}
	tester := must[*prop.Tester](t)(prop.New(t.Context(), config(e, 1)))
	list = slices.Clone(list)
	sort.SliceStable(list, func(i, j int) bool { return list[i].By == m.id && list[j].By != m.id })
	for i, p := range list {
		tester.Cases = 32
		if p.By == m.id {
			tester.Cases = 1000
		}
		if p.By != "" && !known[p.By] {
			return p.Name + " (the rule is gone)"
		}
		if r := must[prop.Result](t)(tester.Try(t.Context(), i, &p)); r.Counterexample != nil {
			return p.Name
		}
	}
	return ""
}

// Each reject rule of the shipped policy is taken away in turn, and the properties are to notice. COUNTERSIGN_MUTATIONS=all
// tries all of them and takes minutes; otherwise some are tried.
func TestMutationsAreCaught(t *testing.T) {
	if detecting {
		t.Skip("takes minutes with the race detector")
	}
	all, list := mutations(source(t)), filled(t)
	if len(all) < 50 {
		t.Fatalf("only %d reject rules were found", len(all))
	}
	const every = 30
	var missed, tried int
	for i, m := range all {
		if os.Getenv("COUNTERSIGN_MUTATIONS") != "all" && i%every != 0 {
			continue
		}
		tried++
		if caught := m.catch(t, list); caught == "" {
			missed++
			t.Logf("NOT CAUGHT  %s  %s: %s", m.file, m.id, m.line)
		} else {
			t.Logf("caught      %s  %s: by %s", m.file, m.id, caught)
		}
	}
	t.Logf("%d of %d caught", tried-missed, tried)
	if missed*4 > tried {
		t.Errorf("%d of %d rules could be taken away without notice", missed, tried)
	}
}

// What somebody might write in good faith.
func TestWeakenedPolicyIsCaught(t *testing.T) {
	if detecting {
		t.Skip("takes minutes with the race detector")
	}
	for _, m := range []struct{ file, old, by, property string }{
		{"addresses.rego", "listed if lists.allow_any == true", "listed if count(lists.allow) > 0", "nothing goes to an address that is on no list"},
		{"approvals.rego", "	tier := highest(limit, lib.amount)\n", "	tier := highest(limit, lib.amount)\n	input.tx.wallet_id != \"90210\"\n", "people approve what is above 5000 USDT"},
		{"calls.rego", "granted(grant) if grant.revoke == true", "granted(grant) if grant.change == \"set\"", "nobody gets power over tokens without a limit"},
	} {
		e := engine(t, replaced(t, source(t), m.file, m.old, m.by))
		list := slices.DeleteFunc(filled(t), func(p prop.Property) bool { return p.Name != m.property })
		tester := must[*prop.Tester](t)(prop.New(t.Context(), config(e, 3000)))
		if r := must[prop.Result](t)(tester.Try(t.Context(), 0, &list[0])); r.Counterexample == nil {
			t.Errorf("%s: %s: nothing was found to speak against it", m.file, m.property)
		}
	}
}
