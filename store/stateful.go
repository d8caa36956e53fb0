package store

import "strings"

// Stateful reports whether a command changes the state of its connection, which all users of a Store share. Every
// Store refuses these with ErrUnsupported. words are the command's own; upper or lower case.
func Stateful(words []string) bool {
	if len(words) == 0 {
		return false
	}
	switch name := words[0]; len(name) {
	case 4:
		return fold(name, "AUTH") || fold(name, "EXEC") || fold(name, "QUIT") || fold(name, "SYNC")
	case 5:
		return fold(name, "MULTI") || fold(name, "WATCH") || fold(name, "HELLO") || fold(name, "RESET") || fold(name, "PSYNC")
	case 6:
		return fold(name, "SELECT") || fold(name, "ASKING") || fold(name, "CLIENT") && statefulClient(words) ||
			fold(name, "SCRIPT") && len(words) > 1 && fold(words[1], "DEBUG") // what comes next is taken for commands of the debugger
	case 7:
		return fold(name, "DISCARD") || fold(name, "UNWATCH") || fold(name, "MONITOR")
	case 8:
		return fold(name, "READONLY") || fold(name, "REPLCONF")
	case 9:
		return fold(name, "SUBSCRIBE") || fold(name, "READWRITE")
	case 10:
		return fold(name, "PSUBSCRIBE") || fold(name, "SSUBSCRIBE")
	case 11:
		return fold(name, "UNSUBSCRIBE")
	case 12:
		return fold(name, "PUNSUBSCRIBE") || fold(name, "SUNSUBSCRIBE")
	}
	return false
}

func statefulClient(words []string) bool {
	if len(words) < 2 {
		return false
	}
	switch strings.ToUpper(words[1]) {
	case "REPLY", "TRACKING", "CACHING", "SETNAME", "NO-EVICT", "NO-TOUCH", "SETINFO", "CAPA", "IMPORT-SOURCE":
		return true
	}
	return false
}

func fold(s, upper string) bool { return s == upper || strings.EqualFold(s, upper) }
