package command

func zsetRows() []Command { return nil }
