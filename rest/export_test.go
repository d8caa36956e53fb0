package rest

import (
	"net/http"
	"net/url"
)

func PathWords(u *url.URL, body string) ([]string, error) {
	return pathWords(&http.Request{URL: u}, body)
}

func ParseCommand(text string) ([]string, error) {
	s := &scanner{b: text}
	words, err := s.command()
	if err == nil {
		err = s.end()
	}
	return words, err
}

var AppendText = appendText
