package command

import (
	"fmt"
	"strconv"
	"strings"
)

// infoNamespaces is a line for each namespace: of Larder alone. Readers take the fields by name, and split them at
// commas, of which the name has none.
func infoNamespaces(c *Ctx, b *infoText) {
	for i, n := range c.Tx.Namespaces() {
		b.add("ns"+strconv.Itoa(i), fmt.Sprintf("name=%s,keys=%d,bytes=%d,hits=%d,misses=%d,no_ttl=%d,"+
			"evicted_maxmemory=%d,evicted_expired=%d,deleted=%d,regret=%d,ttl_1m=%d,ttl_1h=%d,ttl_1d=%d,ttl_7d=%d,ttl_more=%d",
			quotedName(n.Name), n.Keys, n.Bytes, n.Hits, n.Misses, n.Lasting,
			n.Evicted, n.Expired, n.Deleted, n.Regret, n.TTL[0], n.TTL[1], n.TTL[2], n.TTL[3], n.TTL[4]))
	}
}

// quotedName is the name as a Go string literal without commas.
func quotedName(name string) string { return strings.ReplaceAll(strconv.Quote(name), ",", `\x2c`) }
