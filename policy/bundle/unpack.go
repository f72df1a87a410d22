package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"
)

// Bounds on a bundle. Those of single modules and of the data are package policy's.
const (
	MaxSize     = 64 << 20 // bytes of the file
	maxUnpacked = 64 << 20 // bytes of all files in it
	maxEntries  = 2000     // files and folders
	maxName     = 255      // bytes of a name
)

// The files of a bundle that are no modules.
const (
	manifestName   = ".manifest"
	dataName       = "data.json"
	signaturesName = ".signatures.json"
	moduleSuffix   = ".rego"
)

// errTooLarge is what reading beyond maxUnpacked gives.
var errTooLarge = fmt.Errorf("is more than %d bytes when it is unpacked", maxUnpacked)

// bounded reads at most left bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// unpack reads the files of a .tar.gz by their names.
func unpack(b []byte) (map[string][]byte, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("is longer than %d bytes", MaxSize)
	}
	compressed := bytes.NewReader(b)
	z, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, errors.New("is no .tar.gz file")
	}
	z.Multistream(false)
	content := &bounded{r: z, left: maxUnpacked + (maxEntries+10)<<10} // with the headers
	files, err := untar(tar.NewReader(content))
	if err != nil {
		return nil, readable(err)
	}
	if err := onlyZeros(content); err != nil {
		return nil, readable(err)
	}
	if compressed.Len() > 0 {
		return nil, errors.New("has more behind its end")
	}
	return files, nil
}

// readable says of an error of the libraries what it means for the file.
func readable(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("is truncated")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, tar.ErrHeader):
		return errors.New("is damaged")
	}
	return err
}

func untar(r *tar.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	total := int64(0)
	for entries := 1; ; entries++ {
		h, err := r.Next()
		switch {
		case err == io.EOF:
			return files, nil
		case err != nil:
			return nil, err
		case entries > maxEntries:
			return nil, fmt.Errorf("has more than %d files and folders", maxEntries)
		}
		name, err := plainName(h)
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if err := taken(name); err != nil {
			return nil, err
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("%s: is there twice", name)
		}
		if total += h.Size; h.Size < 0 || total > maxUnpacked {
			return nil, errTooLarge
		}
		if files[name], err = io.ReadAll(io.LimitReader(r, h.Size)); err != nil {
			return nil, err
		}
		if int64(len(files[name])) != h.Size {
			return nil, io.ErrUnexpectedEOF
		}
	}
}

// plainName returns the name of a regular file or folder within the bundle. opa writes names with a slash in front.
func plainName(h *tar.Header) (string, error) {
	shown := fmt.Sprintf("%q", h.Name[:min(len(h.Name), maxName)])
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink, tar.TypeLink:
		return "", fmt.Errorf("%s: is a link, and a bundle holds files only", shown)
	default:
		return "", fmt.Errorf("%s: is neither a file nor a folder", shown)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return "", fmt.Errorf("%s: is a sparse file, which is not taken", shown)
		}
	}
	name := strings.TrimPrefix(strings.TrimPrefix(h.Name, "/"), "./")
	if h.Typeflag == tar.TypeDir {
		if name = strings.TrimSuffix(name, "/"); name == "" || name == "." {
			return ".", nil
		}
	}
	if len(name) > maxName || !fs.ValidPath(name) || path.Clean(name) != name || strings.ContainsRune(name, '\\') ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", fmt.Errorf("%s: is no name of a file within the bundle", shown)
	}
	return name, nil
}

// taken says why a file is none of a policy's.
func taken(name string) error {
	base := path.Base(name)
	switch ext := path.Ext(name); {
	case name == manifestName || name == dataName || name == signaturesName:
		return nil
	case base == dataName:
		return fmt.Errorf("%s: data stands in one %s at the bundle's root; own data goes under its /custom", name, dataName)
	case strings.HasPrefix(base, ".") || strings.Contains("/"+name, "/."):
		return fmt.Errorf("%s: is a hidden file, and no policy's", name)
	case ext == ".yaml" || ext == ".yml":
		return fmt.Errorf("%s: data in YAML is refused, since large integers lose digits in it: write it into %s", name, dataName)
	case ext != moduleSuffix:
		return fmt.Errorf("%s: a bundle holds .rego files, %s, %s and %s, and nothing else", name, dataName, manifestName, signaturesName)
	}
	return nil
}

// onlyZeros reads what follows the last file, which is filled up with zeros.
func onlyZeros(r io.Reader) error {
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		if len(bytes.Trim(buffer[:n], "\x00")) > 0 {
			return errors.New("has more behind its last file")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
