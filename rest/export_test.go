package rest

func ParseCommand(text string) ([]string, error) {
	s := &scanner{b: text}
	words, err := s.command()
	if err == nil {
		err = s.end()
	}
	return words, err
}

var AppendText = appendText
