package main

import (
	"fmt"
	"log/slog"
	"strconv"

	"github.com/larderdb/larder/internal/config"
)

// keptDescriptors are for all but clients: listeners, the log, snapshots, replicas. As many as Redis keeps.
const keptDescriptors = 32

// boundClients lowers maxclients to what the limit of open files leaves, as Redis does: a client too many gets an error, instead of
// waiting for an answer of a server that cannot accept it. CONFIG SET of more is refused.
func boundClients(c *config.Config, log *slog.Logger) error {
	limit, known := descriptorLimit()
	if !known {
		return nil
	}
	if limit <= keptDescriptors {
		return fmt.Errorf("the limit of open files, %d, is not enough to serve anybody: raise it (ulimit -n) to %d at least", limit, keptDescriptors+1)
	}
	most := limit - keptDescriptors
	if wanted := uint64(c.Settings().MaxClients); wanted > most {
		log.Warn("maxclients is lowered to what the limit of open files (ulimit -n) leaves", "wanted", wanted, "maxclients", most, "limit", limit)
		if err := c.Set(config.Program, config.Pair{Name: "maxclients", Value: strconv.FormatUint(most, 10)}); err != nil {
			return err
		}
	}
	c.OnChange(func(s *config.Settings) error {
		if uint64(s.MaxClients) > most {
			return fmt.Errorf("The operating system is not able to handle the specified number of clients, try with %d", most) //nolint:staticcheck // Redis's words
		}
		return nil
	}, "maxclients")
	return nil
}
