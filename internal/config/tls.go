package config

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// TLSSettings are what encrypted connections of clients go by.
type TLSSettings struct {
	Port           int    // 0: none
	CertFile       string // PEM
	KeyFile        string // PEM
	CACertFile     string // PEM; who signs clients' certificates
	CACertDir      string // the same, of every file there
	Clients        tls.ClientAuthType
	Protocols      string // as redis.conf lists them; empty: 1.2 and 1.3
	SessionTickets bool
}

// clientAuth is tls-auth-clients in the words of crypto/tls.
func clientAuth(word string) tls.ClientAuthType {
	switch word {
	case "no":
		return tls.NoClientCert
	case "optional":
		return tls.VerifyClientCertIfGiven
	}
	return tls.RequireAndVerifyClientCert
}

// Versions is the range of protocol versions that Protocols names. TLS has no way to leave out one in the middle.
func (t *TLSSettings) Versions() (lowest, highest uint16, err error) {
	if t.Protocols == "" {
		return tls.VersionTLS12, tls.VersionTLS13, nil
	}
	for name := range strings.FieldsSeq(t.Protocols) {
		var v uint16
		switch strings.ToLower(name) {
		case "tlsv1":
			v = tls.VersionTLS10
		case "tlsv1.1":
			v = tls.VersionTLS11
		case "tlsv1.2":
			v = tls.VersionTLS12
		case "tlsv1.3":
			v = tls.VersionTLS13
		default:
			return 0, 0, fmt.Errorf("tls-protocols: no version %.40q: choose from TLSv1.2 and TLSv1.3", name)
		}
		if lowest == 0 || v < lowest {
			lowest = v
		}
		highest = max(highest, v)
	}
	return lowest, highest, nil
}

func tlsSettings(at func(string) value) TLSSettings {
	return TLSSettings{
		Port:           int(at("tls-port").num),
		CertFile:       at("tls-cert-file").text,
		KeyFile:        at("tls-key-file").text,
		CACertFile:     at("tls-ca-cert-file").text,
		CACertDir:      at("tls-ca-cert-dir").text,
		Clients:        clientAuth(at("tls-auth-clients").text),
		Protocols:      at("tls-protocols").text,
		SessionTickets: at("tls-session-caching").num != 0,
	}
}
