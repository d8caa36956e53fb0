package command

func listRows() []Command { return nil }
func zsetRows() []Command { return nil }
