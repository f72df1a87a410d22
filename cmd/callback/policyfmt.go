package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
)

// maxFormatted bounds a file that is formatted, in bytes; modules of a policy are no longer.
const maxFormatted = 1 << 20

func (o *options) policyFmt() *cobra.Command {
	var files policyFiles
	write, show := false, false
	cmd := &cobra.Command{
		Use: "fmt [PATH]...", Short: "List the modules that are not formatted as opa fmt does, or format them",
		Long: `Look at the .rego files of a folder (default: that of --dir, or the one that is configured, or this one) or at single files. The names
of those that are formatted otherwise are printed, and the exit code is 2 if there are any. --diff shows how, --write puts them
right: each file is replaced at once, with its permissions, and the exit code is 0. A file that does not parse stays as it is.`,
		Example: "  callback policy fmt --dir policy\n  callback policy fmt --diff policy/frozen.rego\n  callback policy fmt --write policy",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if err := files.fill(cmd, o.config); err != nil {
					return err
				}
				args = []string{"."}
				if files.dir != "" {
					args = []string{files.dir}
				}
			}
			paths, err := regoFiles(args)
			if err != nil {
				return err
			}
			return o.format(paths, write, show)
		},
	}
	cmd.Flags().StringVar(&files.dir, "dir", "", "folder of the policy (default: as configured, or this folder)")
	cmd.Flags().BoolVarP(&write, "write", "w", false, "put the files right")
	cmd.Flags().BoolVarP(&show, "diff", "d", false, "show what differs")
	return cmd
}

// regoFiles finds the modules below folders; a file is taken as it is.
func regoFiles(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name != path && strings.HasPrefix(entry.Name(), "."):
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir() && (name == path || filepath.Ext(name) == ".rego"):
				out = append(out, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no .rego file is there", strings.Join(paths, ", "))
	}
	return out, nil
}

func (o *options) format(paths []string, write, show bool) error {
	var problems []error
	differ := 0
	for _, path := range paths {
		before, err := readSmall(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		after, err := policy.Format(path, before)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if bytes.Equal(before, after) {
			continue
		}
		differ++
		if show {
			fmt.Fprintf(o.out, "%s", diff.Diff(path, before, path+" (formatted)", after))
		} else {
			fmt.Fprintln(o.out, path)
		}
		if write {
			problems = append(problems, replaceFile(path, after))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return refused(err)
	}
	if differ > 0 && !write {
		return refused(fmt.Errorf("%s not formatted (--write puts it right)", counted(differ, "file")))
	}
	return nil
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFormatted {
		return nil, fmt.Errorf("%s: is no file of at most %d bytes", path, maxFormatted)
	}
	return os.ReadFile(path)
}

// replaceFile writes a file anew beside the old one and puts it in its place.
func replaceFile(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // is gone when all went well
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
