package dashboard

import (
	"context"
	"strings"

	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// figures asks for all that the sampler needs, in one round trip. Neither a server that has no LATENCY HISTOGRAM nor one that has
// no namespaces is an error.
func (d *Dashboard) figures(ctx context.Context) (text string, h info.Histogram, err error) {
	r := d.st.Pipe(ctx, store.Cmd{"INFO", "all"}, store.Cmd{"LATENCY", "HISTOGRAM"})
	if text, err = r[0].Text(); err != nil {
		return "", nil, err
	}
	if strings.Contains(text, "larder_version:") && !strings.Contains(text, "# Namespaces") {
		if more, err := d.st.Do(ctx, "INFO", "namespaces").Text(); err == nil {
			text += "\r\n" + more
		}
	}
	if all, err := info.ParseHistograms(r[1]); err == nil {
		h = all.Overall()
	}
	return text, h, nil
}
