package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/countersign-mpc/countersign/keystore"
)

// files looks who may read and write what the node trusts or keeps.
func (m machine) files(configPath string, c config) []finding {
	const name = "files"
	var out []finding
	add := func(f *finding) {
		if f != nil {
			out = append(out, *f)
		}
	}
	add(m.trusted("the configuration", configPath))
	for _, path := range c.trusted() {
		add(m.trusted("a file that says whom the node trusts", path))
	}
	add(m.trusted("the token's library", c.Storage.AutoUnseal.Module))
	for _, path := range c.private() {
		add(m.private("a private key or PIN", path))
	}
	add(m.store(c))
	add(m.leftByRekey(c.Storage.Path + ".rekey"))
	for _, dir := range c.folders(configPath) {
		add(m.folder(dir))
	}
	if c.Log.File.Enable {
		add(m.logs(c.Log.File.Path))
	}
	add(m.leftByVerify())
	if c.Backup.Directory != "" {
		add(m.backups(c.Backup.Directory))
	}
	if _, err := c.loadSegments(); err != nil {
		out = append(out, finding{name, levelWarn, "init and cmreset are refused: " + err.Error(), "put the manifest of the segments there"})
	}
	if out == nil {
		out = []finding{good(name, "only their owner can write what the node trusts, and read what it keeps")}
	}
	return out
}

// trusted are the files that say whom the node trusts. Missing ones are told with the settings.
func (c *config) trusted() []string {
	out := []string{c.Parties.PartyIDsPath, c.Service.CAPath, c.AdminTLS.ClientCA, c.AdminTLS.CA}
	if c.Storage.T > 1 {
		out = append(out, c.Storage.SegmentsPath) // cmreset takes the segments that it describes
	}
	if c.Encrypt.Enable {
		out = append(out, c.Encrypt.PublicKeyPath)
	}
	for _, s := range c.Callback.Server {
		out = append(out, s.PublicKeyPath, s.CAPath)
	}
	return append(out, c.Authorization.PublicKeyPaths...)
}

// private are the files that only their owner may read.
func (c *config) private() []string {
	out := []string{c.Service.ClientKey, c.Storage.AutoUnseal.PINPath, c.AdminTLS.Key, c.AdminTLS.ClientKey}
	for _, s := range c.Callback.Server {
		out = append(out, s.ClientKey)
	}
	return out
}

// folders are those in which a file, or a folder on the way to it, could be replaced, each once.
func (c *config) folders(configPath string) []string {
	paths := append(append([]string{configPath, c.Storage.Path, c.Storage.AutoUnseal.Module}, c.trusted()...), c.private()...)
	if c.Log.File.Enable {
		paths = append(paths, c.Log.File.Path)
	}
	seen := map[string]bool{}
	var out []string
	for _, path := range paths {
		if path == "" {
			continue
		}
		for dir := filepath.Dir("/" + inRoot(path)); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			out = append(out, dir)
		}
	}
	return out
}

// mode returns the permissions of a file, following links; ok is false where there is none, which others report.
func (m machine) mode(path string) (mode fs.FileMode, ok bool, err error) {
	info, err := m.stat(path)
	if err != nil || info == nil {
		return 0, false, err
	}
	return info.Mode(), true, nil
}

// stat is what is known of a file, following links; nil where there is none.
func (m machine) stat(path string) (fs.FileInfo, error) {
	if path == "" {
		return nil, nil
	}
	info, err := fs.Stat(m.root, inRoot(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

// stranger finds a file or folder of a user who is neither root nor the node's: that user can replace it at any time. Where the node
// runs as root all other users are strangers, and it is warned of only: the guide's way is sudo in a user's folder.
func (m machine) stranger(what, path string) *finding {
	info, err := m.stat(path)
	if err != nil || info == nil {
		return nil
	}
	owner, ok := ownerOf(info)
	if !ok || owner == 0 || owner == m.uid {
		return nil
	}
	level := levelFail
	if m.uid == 0 {
		level = levelWarn
	}
	return &finding{"files", level, fmt.Sprintf("%s belongs to user %d, who can replace it: %s", what, owner, path), fmt.Sprintf("chown %d %s", m.uid, path)}
}

// trusted wants a file that nobody but its owner writes; a group that does is warned of.
func (m machine) trusted(what, path string) *finding {
	mode, ok, err := m.mode(path)
	switch {
	case err != nil:
		return &finding{"files", levelFail, fmt.Sprintf("%s: %v", what, err), "let the node's user read it"}
	case ok && mode&0o002 != 0:
		return &finding{"files", levelFail, fmt.Sprintf("%s can be written by everybody: %s, mode %v", what, path, mode), "chmod go-w " + path}
	case ok && mode&0o020 != 0:
		return &finding{"files", levelWarn, fmt.Sprintf("%s can be written by a group: %s, mode %v", what, path, mode), "chmod g-w " + path}
	}
	return m.stranger(what, path)
}

// private wants a file that nobody but its owner reads or writes.
func (m machine) private(what, path string) *finding {
	mode, ok, err := m.mode(path)
	switch {
	case err != nil:
		return &finding{"files", levelFail, fmt.Sprintf("%s: %v", what, err), "let the node's user read it"}
	case ok && mode&0o077 != 0:
		return &finding{"files", levelFail, fmt.Sprintf("%s is open to group or others: %s, mode %v", what, path, mode), "chmod 600 " + path}
	}
	return m.stranger(what, path)
}

// store looks at the store as far as that needs no key.
func (m machine) store(c config) *finding {
	const what = "the sealed store"
	if f := m.private(what, c.Storage.Path); f != nil {
		if mode, ok, _ := m.mode(c.Storage.Path); ok && !mode.IsRegular() {
			f.Fix = "storage.db-file-path has to name a file"
		}
		return f
	}
	if m.look == nil || c.Storage.Engine != engineBolt {
		return nil
	}
	if err := m.look(c.Storage.Path); err != nil && !errors.Is(err, keystore.ErrLocked) { // locked: a node has it open, and has looked
		return &finding{"files", levelFail, fmt.Sprintf("%s cannot be opened: %s: %v", what, c.Storage.Path, err), "the message says what to do; nothing was changed"}
	}
	return nil
}

// logs wants the log file to be one that can be written.
func (m machine) logs(path string) *finding {
	const fix = "give another log.file.path, or let the node's user write there"
	mode, ok, err := m.mode(path)
	if err == nil && ok && !mode.IsRegular() && mode&(fs.ModeDevice|fs.ModeNamedPipe) == 0 {
		return &finding{"files", levelFail, "the log file is no file: " + path, fix}
	}
	for dir := filepath.Dir("/" + inRoot(path)); err == nil && m.mayWrite != nil; dir = filepath.Dir(dir) { // start makes its folder
		if mode, ok, err = m.mode(dir); err != nil || !ok && dir != "/" {
			continue
		}
		if !mode.IsDir() {
			err = fmt.Errorf("%s is no folder", dir)
		} else {
			err = m.mayWrite(dir)
		}
		break
	}
	if err != nil {
		return &finding{"files", levelFail, "the log file cannot be made: " + err.Error(), fix}
	}
	return nil
}

// leftByVerify finds what a verify or restore that was killed has left.
func (m machine) leftByVerify() *finding {
	if m.forgotten == nil {
		return nil
	}
	if left := m.forgotten(); len(left) > 0 {
		return &finding{"files", levelWarn, "a backup verify or restore was cut off and has left a sealed copy of all shares: " + strings.Join(left, " "),
			"the next backup verify removes it, or rm -r"}
	}
	return nil
}

// leftByRekey finds the new store of a rekey that was killed: all shares, under a password of which nobody thinks any more.
func (m machine) leftByRekey(path string) *finding {
	if _, ok, err := m.mode(path); err == nil && ok {
		return &finding{"files", levelWarn, "a rekey was cut off and has left a copy of all shares: " + path, "the store is as it was before: rm " + path + ", and run rekey again"}
	}
	return nil
}

// folder wants one in which not everybody can replace files.
func (m machine) folder(dir string) *finding {
	mode, ok, err := m.mode(dir)
	switch {
	case err != nil:
		return &finding{"files", levelFail, err.Error(), "let the node's user enter it"}
	case ok && mode&0o002 != 0 && mode&fs.ModeSticky == 0:
		return &finding{"files", levelFail, fmt.Sprintf("everybody can replace files in %s, mode %v", dir, mode), "chmod o-w " + dir}
	case ok && mode&0o020 != 0 && mode&fs.ModeSticky == 0:
		return &finding{"files", levelWarn, fmt.Sprintf("a group can replace files in %s, mode %v", dir, mode), "chmod g-w " + dir}
	}
	return m.stranger("a folder of what the node trusts or keeps", dir)
}

// backups wants a folder of sealed copies that only its owner reads: they are as good as the password.
func (m machine) backups(dir string) *finding {
	mode, ok, err := m.mode(dir)
	switch {
	case err != nil:
		return &finding{"files", levelWarn, err.Error(), "let the node's user enter it"}
	case ok && !mode.IsDir():
		return &finding{"files", levelWarn, "backup.directory is no folder: " + dir, "give another backup.directory"}
	case ok && mode&0o077 != 0:
		return &finding{"files", levelWarn, fmt.Sprintf("group or others can enter the folder of backups: %s, mode %v", dir, mode), "chmod 700 " + dir}
	}
	return nil
}

// ownedBy tells whether a file belongs to a user, or nobody says to whom.
func ownedBy(info fs.FileInfo, uid int) bool {
	owner, ok := ownerOf(info)
	return !ok || owner == uid
}
