package rdb

// Hashes whose fields expire, as Redis 7.4 writes them.

// expiringHash reads a hash with expiries of its fields.
func (x *valueReader) expiringHash() error {
	base := int64(0)
	if x.t == TypeHashTTL || x.t == TypeHashLPTTL {
		var err error
		if base, err = x.Millis(); err != nil {
			return err
		}
	}
	if x.t == TypeHashTTL || x.t == TypeHashTTLEarly {
		return x.expiringFields(base)
	}
	b, err := x.str(0)
	if err != nil {
		return err
	}
	if err := x.begin(0); err != nil {
		return err
	}
	w, err := newWalker(b)
	if err != nil {
		return err
	}
	for {
		if done, err := w.done(); done {
			if err == nil && x.count == 0 {
				err = ErrEmpty
			}
			return err
		}
		if err := x.triple(&w); err != nil {
			return err
		}
	}
}

// expiringFields reads the plain form: of each field its expiry in milliseconds after the first one's, plus one, or 0
// for none; early on it was Unix time.
func (x *valueReader) expiringFields(base int64) error {
	n, err := x.counted()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := x.element(); err != nil {
			return err
		}
		after, err := x.Length()
		if err != nil {
			return err
		}
		expiry := int64(after)
		if x.t == TypeHashTTL && after != 0 {
			expiry = base + int64(after) - 1
		}
		field, err := x.str(0)
		if err != nil {
			return err
		}
		value, err := x.str(1)
		if err != nil {
			return err
		}
		if expiry < 0 {
			return ErrLength
		}
		if err := x.Field(field, value, expiry); err != nil {
			return err
		}
	}
	return nil
}

// triple reads a field of the compact form: field, value, Unix time in milliseconds or 0.
func (x *valueReader) triple(w *walker) error {
	if err := x.element(); err != nil {
		return err
	}
	var v [2]item
	for i := range v {
		var err error
		if v[i], err = w.next(); err != nil {
			return err
		}
	}
	expiry, err := w.integer()
	if err != nil {
		return err
	}
	if expiry < 0 {
		return ErrLength
	}
	x.count++
	return x.Field(v[0].text(x.short[0][:]), v[1].text(x.short[1][:]), expiry)
}
