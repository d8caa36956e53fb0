package rest

import (
	"net/http"
	"net/url"
	"strings"
)

// pathWords reads a command: of the path, or of a JSON array if the path names none.
//
// After the path's words comes the body, then the query's parameters in their order, each with its value if it has one.
func pathWords(r *http.Request, body string) ([]string, error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if path == "" {
		s := &scanner{b: body}
		words, err := s.command()
		if err == nil {
			err = s.end()
		}
		return words, err
	}
	words, err := segments(path)
	if err != nil {
		return nil, err
	}
	if body != "" {
		words = append(words, body)
	}
	return queryWords(words, r.URL.RawQuery)
}

// segments are a path's parts. A slash at the end adds none.
func segments(path string) ([]string, error) {
	words := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, w := range words {
		text, err := url.PathUnescape(w)
		if err != nil {
			return nil, errPath
		}
		words[i] = text
	}
	return words, nil
}

// queryWords adds the parameters of a query, but for the token.
func queryWords(words []string, query string) ([]string, error) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		for i, text := range [...]string{name, value} {
			text, err := url.QueryUnescape(text)
			if err != nil {
				return nil, errPath
			}
			if i == 0 && text == tokenName {
				break
			}
			if i == 0 || text != "" {
				words = append(words, text)
			}
		}
	}
	return words, nil
}
