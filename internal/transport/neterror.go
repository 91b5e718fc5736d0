package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// permanent reports whether err would be the same at every attempt.
func permanent(err error) bool {
	if status := refusedConnect(err); status != 0 {
		return !retryableStatus(status)
	}
	// net/http and crypto/tls have no types for these.
	text := err.Error()
	return isPermanentType(err) ||
		errors.Is(err, http.ErrSchemeMismatch) || permanentAlert(err) ||
		strings.Contains(text, "unsupported protocol scheme") ||
		strings.Contains(text, "invalid header field") ||
		strings.Contains(text, "tls: server selected unsupported protocol version")
}

// isPermanentType reports whether err is about the certificate, or no TLS at all.
func isPermanentType(err error) bool {
	targets := [...]any{
		new(*tls.CertificateVerificationError), new(x509.UnknownAuthorityError), new(x509.HostnameError),
		new(x509.CertificateInvalidError), new(tls.RecordHeaderError),
	}
	return slices.ContainsFunc(targets[:], func(target any) bool { return As(err, target) })
}

// permanentAlerts are the TLS alerts that follow from how the two sides are configured (RFC 8446, section 6.2,
// and RFC 5246). Others, such as internal_error, may be over at the next attempt.
var permanentAlerts = [...]tls.AlertError{
	40,  // handshake_failure
	41,  // no_certificate
	42,  // bad_certificate
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	60,  // export_restriction
	70,  // protocol_version
	71,  // insufficient_security
	86,  // inappropriate_fallback
	109, // missing_extension
	110, // unsupported_extension
	111, // certificate_unobtainable
	112, // unrecognized_name
	113, // bad_certificate_status_response
	114, // bad_certificate_hash_value
	116, // certificate_required
	120, // no_application_protocol
	121, // ech_required
}

// permanentAlert reports whether a TLS alert ended the connection that would also end the next one.
func permanentAlert(err error) bool {
	var alert tls.AlertError
	if As(err, &alert) { // of QUIC
		return slices.Contains(permanentAlerts[:], alert)
	}
	for {
		opErr, ok := errors.AsType[*net.OpError](err)
		if !ok || opErr.Err == nil {
			return false
		}
		// The type of the alert itself is not exported; its text is that of the AlertError.
		if opErr.Op == "remote error" || opErr.Op == "local error" {
			text := opErr.Err.Error()
			return slices.ContainsFunc(permanentAlerts[:], func(a tls.AlertError) bool { return a.Error() == text })
		}
		err = opErr.Err
	}
}

// refusedConnect returns the status with which a proxy refused to connect, or 0. Unless it is the pool of this
// package, a Transport of net/http returns only the text of the status line, as an error of no type.
func refusedConnect(err error) int {
	var refused connectError
	if As(err, &refused) {
		return int(refused)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		text := strings.ToLower(err.Error())
		for status := http.StatusMultipleChoices; status <= http.StatusNetworkAuthenticationRequired; status++ {
			if known := http.StatusText(status); known != "" && text == strings.ToLower(known) {
				return status
			}
		}
		if strings.HasPrefix(text, "proxy auth") {
			return http.StatusProxyAuthRequired // there are many texts for this one
		}
	}
	return 0
}

// neverSent reports whether no byte of the request left: net/http got no connection, be it to the
// server or through a proxy, or an error proves the same of another RoundTripper.
func (c *call) neverSent() bool {
	if c.connection != unknownConnection {
		return c.connection == noConnection
	}
	if _, ok := errors.AsType[*net.DNSError](c.err); ok {
		return true
	}
	opErr, ok := errors.AsType[*net.OpError](c.err)
	return ok && (opErr.Op == "dial" || opErr.Op == "proxyconnect")
}
