package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Checks of whether values have the type that suits what they are used for. They are made of a few values of each
// namespace, so they speak of shares.
const (
	valuesLeast  = 10  // values read, for a share to mean something
	mostlyShare  = 0.8 // of them, to speak of the namespace
	fewRecords   = 100 // keys for which a change pays
	siblingsEach = 2   // keys of one parent from which a hash saves something
)

// formed makes findings of namespaces whose strings mostly have one of some forms.
func formed(f *Facts, wanted []form, fn func(ns *Namespace, keys int64) Finding) []Finding {
	return eachSpace(f, func(ns *Namespace) Finding {
		read, hits := ns.read[aString], int64(0)
		for _, w := range wanted {
			hits += ns.forms[w]
		}
		keys := f.Keys.about(ns.by[aString].keys)
		if read < valuesLeast || share(hits, read) < mostlyShare || keys < fewRecords {
			return Finding{}
		}
		out := fn(ns, keys)
		out.Figure = fmt.Sprintf("%d of %d strings read %s; about %s such keys, %s on average", hits, read, out.Figure, number(keys),
			size(ns.by[aString].bytes/max(1, ns.by[aString].keys)))
		out.Values = values{"keys": float64(keys), "read": float64(read), "of_this_form": float64(hits)}
		return out
	})
}

func checkJSON(f *Facts) []Finding {
	flat := formed(f, []form{formFlat}, func(_ *Namespace, keys int64) Finding {
		return Finding{
			Severity: max(Notice, grade(float64(keys), 0, 10_000, never)), Figure: "are flat JSON objects",
			Why: "to change one field all is read, parsed, written back and sent twice, and of two who do so at once one is lost",
			Do:  "HSET key field value ... and HINCRBY: Larder's object stores structs so, with one round trip",
		}
	})
	nested := formed(f, []form{formNested}, func(ns *Namespace, _ int64) Finding {
		if share(ns.by[aString].noTTL, ns.by[aString].keys) < 0.5 {
			return Finding{} // a cache of answers: written as a whole, read as a whole
		}
		return Finding{
			Severity: Notice, Figure: "are nested JSON objects, and have no TTL",
			Why: "documents that stay are changed in parts; as strings they are read, written and sent as a whole for each",
			Do:  "JSON.SET key $.field value (Larder, or the JSON module); or a hash whose fields are the first level",
		}
	})
	return append(flat, nested...)
}

func checkLists(f *Facts) []Finding {
	return formed(f, []form{formList}, func(*Namespace, int64) Finding {
		return Finding{
			Severity: Notice, Figure: "are lists (JSON arrays or separated words)",
			Why: "adding one element reads and writes all of them, and of two who do so at once one is lost",
			Do:  "a set (SADD, SISMEMBER), a list (RPUSH, LTRIM) or a sorted set: small ones are packed and take no more memory than the string",
		}
	})
}

func checkSerialized(f *Facts) []Finding {
	return formed(f, []form{formObject}, func(*Namespace, int64) Finding {
		return Finding{
			Severity: Warning, Figure: "are objects serialized by Java, Python (pickle) or PHP",
			Why: "who can write such a key runs code in whoever reads it; no other language can read it, and a renamed class loses the data",
			Do:  "a hash, JSON or MessagePack, with a version in it",
		}
	})
}

func checkSingle(f *Facts) []Finding {
	var found []Finding
	for k := aList; k <= aHash; k++ {
		found = append(found, eachSpace(f, func(ns *Namespace) Finding {
			keys := f.Keys.about(ns.by[k].keys)
			if ns.read[k] < valuesLeast || share(ns.single[k], ns.read[k]) < mostlyShare || keys < fewRecords {
				return Finding{}
			}
			return Finding{
				Severity: max(Notice, grade(float64(keys), 0, 100_000, never)),
				Figure: fmt.Sprintf("%d of %d values of type %s have a single element; about %s such keys", ns.single[k], ns.read[k],
					types[k].word, number(keys)),
				Why:    "each pays for a collection and uses a string; the type promises something that does not happen",
				Do:     "SET key value; or one collection for many of these",
				Values: values{"keys": float64(keys), "read": float64(ns.read[k]), "single": float64(ns.single[k])},
			}
		})...)
	}
	return found
}

// perKey is about how many bytes a key of its own takes beyond its name and value.
func (s *Server) perKey() int64 {
	if name, _ := s.Software(); name == "Larder" {
		return 16 // the record's header, its place in the table
	}
	return 60 // entry of the table, headers of key and value, and of the TTL
}

func checkTiny(f *Facts) []Finding {
	ks, perKey := f.Keys, f.Servers[0].perKey()
	return eachSpace(f, func(ns *Namespace) Finding {
		strs := ns.by[aString]
		if share(strs.tiny, ns.keys) < mostlyShare {
			return Finding{}
		}
		keys, mean := ks.about(strs.tiny), share(strs.bytes, strs.keys)
		saved := float64(keys * perKey)
		figures := values{"keys": float64(keys), "mean_bytes": mean, "bytes_saved": saved}
		words := slices.Sorted(maps.Keys(ns.suffixes))
		if !ns.suffixesOut && len(words) >= siblingsEach && share(ns.suffixKeys, ns.keys) >= mostlyShare && keys >= fewKeys {
			each := float64(len(words))
			for i, w := range words {
				words[i] = clean(w)
			}
			figures["bytes_saved"] = saved * (each - 1) / each
			return Finding{
				Severity: max(Notice, grade(float64(keys), 0, 100_000, never)),
				Figure: fmt.Sprintf("%s strings of %.0f bytes on average that end in %s: fields of about %s objects", number(keys), mean,
					strings.Join(words[:min(len(words), 6)], ", "), number(int64(float64(keys)/each))),
				Why:    fmt.Sprintf("each key costs about %d bytes beyond its value, and an object %d commands; as hashes they take some %s less", perKey, len(words), size(int64(figures["bytes_saved"]))),
				Do:     "HSET " + clean(ns.Name) + ks.separator + "ID " + words[0] + " ... : small hashes are packed; Larder's object does this for structs",
				Values: figures,
			}
		}
		if keys < 10*fewKeys || share(strs.noTTL, strs.keys) < mostlyShare {
			return Finding{}
		}
		return Finding{
			Severity: max(Notice, grade(float64(keys), 0, 1_000_000, never)),
			Figure:   fmt.Sprintf("%s strings of %.0f bytes on average, most without a TTL", number(keys), mean),
			Why:      fmt.Sprintf("each key costs about %d bytes beyond its value: some %s altogether", perKey, size(int64(saved))),
			Do:       "hashes of some hundred fields each: HSET " + clean(ns.Name) + ks.separator + "(id / 100) (id % 100) value (below hash-max-listpack-entries they are packed)",
			Values:   figures,
		}
	})
}
