package conffile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/internal/conffile"
)

type config struct {
	App struct {
		Name    string `toml:"name"`
		PartyID string `toml:"party-id"`
	} `toml:"app"`
	Callback struct {
		RetryTimes int `toml:"retry-times"`
		Server     []struct {
			Address string `toml:"address"`
		} `toml:"server"`
	} `toml:"callback"`
}

func TestParseTellsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"misspelt key", "[app]\nnmae = \"x\"\n", []string{`unknown key "app.nmae"`, `did you mean "app.name"?`}},
		{"underscore for dash", "[callback]\nretry_times = 3\n", []string{`did you mean "callback.retry-times"?`}},
		{"key in a list of tables", "[[callback.server]]\nadress = \"x\"\n", []string{`did you mean "callback.server.address"?`}},
		{"unknown table is named once", "[zzz]\na = 1\nb = 2\n", []string{`unknown key "zzz"`}},
		{"two at once", "[app]\nnmae = \"x\"\nparty = \"a\"\n", []string{"app.nmae", "app.party"}},
		{"syntax", "[app]\nname = \n", []string{"line 2"}},
		{"wrong type", "[app]\nname = 3\n", []string{"app.name: it is an integer, and a string is needed"}},
		{"value for a table", "app = 3\n", []string{"app: it is no table"}},
		{"table for a list", "[callback.server]\naddress = \"x\"\n", []string{"callback.server: it is a table, and a list of tables"}},
		{"list for a table", "[[app]]\nname = \"x\"\n", []string{"app: "}},
		{"all of it", "[app]\nnmae = \"x\"\nname = 3\n[callback]\nretry-times = \"often\"\n[[callback.server]]\naddress = 7\n[[callback.server]]\nadress = \"y\"\n",
			[]string{"app.nmae", "app.name:", "callback.retry-times:", "callback.server.address:", "callback.server.adress"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c config
			err := conffile.Parse([]byte(tc.text), &c, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), `"zzz.a"`) {
				t.Errorf("error %q repeats the keys of an unknown table", err)
			}
		})
	}
}

// TestCheckRunsToo: what the process itself finds wrong is told with the keys that are unknown, and not with a syntax error.
func TestCheckRunsToo(t *testing.T) {
	wrong := errors.New("  the name is too short")
	var c config
	c.Callback.RetryTimes = 60
	check := func() error {
		if c.Callback.RetryTimes != 60 {
			t.Errorf("retry-times is %d, want the default where the value cannot be read", c.Callback.RetryTimes)
		}
		return wrong
	}
	path := filepath.Join(t.TempDir(), "c.toml")
	must := func(text string) error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return conffile.Load(path, &c, check)
	}
	err := must("[app]\nnmae = \"x\"\n[callback]\nretry-times = \"x\"\n")
	if !errors.Is(err, wrong) || !strings.Contains(err.Error(), "configuration "+path+":\n  unknown key \"app.nmae\"") || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v", err)
	}
	if err := must("[app]\nname = \"x\"\n"); !errors.Is(err, wrong) || c.App.Name != "x" {
		t.Errorf("got %v, %+v", err, c)
	}
	if err := must("[app\n"); err == nil || errors.Is(err, wrong) || !strings.Contains(err.Error(), "line ") {
		t.Errorf("a syntax error: %v", err)
	}
}

func TestLoadKeepsDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte("[app]\nname = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c config
	c.Callback.RetryTimes = 60
	if err := conffile.Load(path, &c, nil); err != nil {
		t.Fatal(err)
	}
	if c.App.Name != "x" || c.Callback.RetryTimes != 60 {
		t.Fatalf("got %+v", c)
	}
	if err := conffile.Load(path+".none", &c, nil); err == nil {
		t.Fatal("a missing file was accepted")
	}
}

func TestRelative(t *testing.T) {
	for _, tc := range [][3]string{
		{"/etc/x/c.toml", "k.pem", "/etc/x/k.pem"}, {"/etc/x/c.toml", "/k.pem", "/k.pem"}, {"/etc/x/c.toml", "", ""},
	} {
		if got := conffile.Relative(tc[0], tc[1]); got != tc[2] {
			t.Errorf("Relative(%q, %q) = %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[app]\nname = \"x\"\n")
	f.Add("[[callback.server]]\nadress = 1\n[x.y]\nz = []")
	f.Fuzz(func(t *testing.T, text string) {
		var c config
		_ = conffile.Parse([]byte(text), &c, nil)
	})
}

func TestDurationAndLoopback(t *testing.T) {
	var c struct {
		Wait conffile.Duration `toml:"wait"`
	}
	if err := conffile.Parse([]byte(`wait = "1m30s"`), &c, nil); err != nil || time.Duration(c.Wait) != 90*time.Second {
		t.Errorf("got %v, %v", c.Wait, err)
	}
	if err := conffile.Parse([]byte(`wait = "soon"`), &c, nil); err == nil || !strings.Contains(err.Error(), "soon") {
		t.Errorf("a word was taken for a duration: %v", err)
	}
	for address, good := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "localhost:80": true, "0.0.0.0:80": false, ":80": false, "127.0.0.1": false, "example.com:80": false} {
		if err := conffile.Loopback(address); (err == nil) != good {
			t.Errorf("Loopback(%q) = %v", address, err)
		}
	}
}
