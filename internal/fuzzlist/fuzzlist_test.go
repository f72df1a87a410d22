package fuzzlist_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parsers are what the callback server and its tools read from outside, each with the function that fuzzes it.
var parsers = map[string]string{
	"body of a request":               "wire FuzzParseCheck",
	"signed request":                  "wire FuzzOpenRequest",
	"reply":                           "wire FuzzOpenReply",
	"body, through the whole server":  "callback FuzzCheck",
	"vote":                            "callback FuzzVote",
	"proposal of a policy":            "ledger FuzzParseProposal",
	"entry of the log":                "ledger FuzzParseEntry",
	"windows and shadow, as stored":   "ledger FuzzWindowState",
	"approval, as stored":             "ledger FuzzParseApproval",
	"journal of the ledger's file":    "bolt/ledgerstore FuzzReadChanges",
	"proof":                           "auditlog FuzzParseProof",
	"checkpoint":                      "auditlog FuzzOpenCheckpoint",
	"data.json":                       "policy FuzzParseData",
	"bundle":                          "policy/bundle FuzzRead",
	"archive of a policy":             "policy FuzzParseArchive",
	"properties":                      "policy/prop FuzzParse",
	"recorded input":                  "policy FuzzReplay",
	"rawTx of EVM chains":             "evidence FuzzEVMTransaction",
	"rawTx of any kind":               "evidence FuzzRawTx",
	"PSBT":                            "evidence FuzzPSBT",
	"calldata":                        "evidence FuzzCalldata",
	"transactions within a multiSend": "evidence FuzzMultiSend",
	"EIP-191 and EIP-712":             "evidence FuzzCheckMessage",
	"claim":                           "evidence FuzzCheck",
	"folder of ABIs":                  "evidence FuzzLoadABIs",
	"runestone":                       "evidence FuzzFindRunestone",
	"inscription":                     "evidence FuzzParseInscription",
	"script of a leaf":                "evidence FuzzLeafScript",
	"configuration":                   "internal/conffile FuzzParse",
}

const root = "../.."

// functions finds the Fuzz functions of the module by package and name, in files that every build has.
func functions(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && path != root):
			return fs.SkipDir
		case entry.IsDir() && path != root && fileThere(filepath.Join(path, "go.mod")): // a module of its own
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") && len(f.Type.Params.List) == 1 {
				out[filepath.ToSlash(dir)+" "+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fileThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestEveryParserIsFuzzed(t *testing.T) {
	found := functions(t)
	if len(found) < 60 {
		t.Errorf("only %d Fuzz functions were found", len(found))
	}
	for what, function := range parsers {
		if !found[function] {
			t.Errorf("%s: there is no %s", what, function)
			continue
		}
		dir, name, _ := strings.Cut(function, " ")
		corpus, err := os.ReadDir(filepath.Join(root, dir, "testdata/fuzz", name))
		if err != nil || len(corpus) == 0 {
			t.Errorf("%s: %s has no corpus in %s/testdata/fuzz (%v)", what, name, dir, err)
		}
		for _, entry := range corpus {
			text, err := os.ReadFile(filepath.Join(root, dir, "testdata/fuzz", name, entry.Name()))
			if err != nil || !strings.HasPrefix(string(text), "go test fuzz v1\n") {
				t.Errorf("%s/testdata/fuzz/%s/%s is no input of a fuzz test (%v)", dir, name, entry.Name(), err)
			}
		}
	}
}

// deploy/fuzz.sh asks the go command for the functions of every package, and leaves none out.
func TestScriptRunsThemAll(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/fuzz.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"go list ./...", "go test -list '^Fuzz'", `-fuzz "^$target\$"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("deploy/fuzz.sh does not hold %s: are all functions still run?", want)
		}
	}
	if strings.Contains(string(text), "|| continue") || strings.Contains(string(text), "grep -v") {
		t.Error("deploy/fuzz.sh leaves something out")
	}
}
