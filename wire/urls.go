package wire

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// CallbackURLs returns the URLs of a server's three endpoints for its callback.server.address. An address that ends in
// "/check" is used as it is, and the others are its siblings; to any other address "/v1/check" and so on are appended.
// Slashes at the end are dropped first. The address is an http or https URL without user, query and fragment.
func CallbackURLs(address string) (check, rawdata, outcome string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", "", errors.New("callback address: not a URL: want http://host:port or https://host/.../check")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		err = errors.New("callback address: want http:// or https:// in front")
	case u.Hostname() == "" || u.Opaque != "":
		err = fmt.Errorf("callback address: no host after %s://", u.Scheme)
	case u.User != nil:
		err = errors.New("callback address: it must not hold a user or a password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(address, "#"):
		err = errors.New("callback address: it must not have a query or a fragment")
	}
	if err != nil {
		return "", "", "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	folder, full := strings.CutSuffix(path, string(PathCheck))
	if !full {
		folder = path + "/v1"
	}
	siblings := u.Scheme + "://" + u.Host + folder
	return siblings + string(PathCheck), siblings + string(PathRawdata), siblings + string(PathOutcome), nil
}
