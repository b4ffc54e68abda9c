package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
)

const (
	nameRoot  = "SGX Root CA"
	nameCA    = "SGX PCK"
	namePCK   = "SGX PCK Certificate"
	nameTCB   = "SGX TCB Signing"
	chainMax  = 16
	poolMax   = 256
	pemHeader = "-----BEGIN"
)

// certificate is one of a pool, with what is known of its chain.
type certificate struct {
	*x509.Certificate
	issuer   *certificate // itself for a root that is trusted; nil: not trusted
	depth    int          // below the root
	software bool
	reason   error // why it is not trusted
}

// pool holds every certificate of the quote and the collateral.
type pool struct {
	list []*certificate
}

// parseCertificates reads PEM with any number of certificates (zeros behind it are padding), or DER.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	if !bytes.Contains(data, []byte(pemHeader)) {
		return x509.ParseCertificates(data)
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.Trim(rest, "\x00 \t\r\n")) != 0 {
				return nil, errors.New("bytes that are no PEM")
			}
			return found, nil
		}
		if block.Type != "CERTIFICATE" || len(found) == chainMax {
			return nil, errors.New("not only certificates, or too many")
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, parsed)
	}
}

func (p *pool) add(c *x509.Certificate) *certificate {
	for _, known := range p.list {
		if known.Equal(c) {
			return known
		}
	}
	added := &certificate{Certificate: c}
	if len(p.list) < poolMax {
		p.list = append(p.list, added)
	}
	return added
}

func isSelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// resolve finds out what each certificate is signed by: roots by their keys, then what they sign, two steps down.
func (p *pool) resolve(policy *Policy) {
	for _, c := range p.list {
		if trusted, software := isTrusted(policy, c.Certificate); trusted && isSelfIssued(c.Certificate) {
			if err := c.CheckSignatureFrom(c.Certificate); err != nil {
				c.reason = refuse("pck_chain", "%s does not sign itself: %v", c.Subject.CommonName, err)
				continue
			}
			c.issuer, c.software = c, software
		}
	}
	for depth := 1; depth <= 2; depth++ {
		for _, c := range p.list {
			if c.issuer == nil && c.reason == nil && !isSelfIssued(c.Certificate) {
				p.findIssuer(c, depth)
			}
		}
	}
}

func (p *pool) findIssuer(c *certificate, depth int) {
	for _, candidate := range p.list {
		if candidate.issuer == nil || candidate.depth != depth-1 || !bytes.Equal(candidate.RawSubject, c.RawIssuer) {
			continue
		}
		below := depth - 1 // CAs between the candidate and a leaf: this one counts when it is one
		if c.IsCA {
			below++
		}
		limited := candidate.MaxPathLen > 0 || candidate.MaxPathLenZero
		if err := c.CheckSignatureFrom(candidate.Certificate); err != nil {
			continue
		} else if candidateCAs := below - candidate.depth; limited && candidateCAs > candidate.MaxPathLen {
			continue
		}
		c.issuer, c.depth, c.software = candidate, depth, candidate.software
		return
	}
}

func (c *certificate) is(name string) bool { return strings.Contains(c.Subject.CommonName, name) }

// hasRoot tells whether its chain, as names go, ends in a self-issued certificate of the pool that nobody trusts.
func (p *pool) hasForeignRoot(c *certificate) bool {
	for steps := 0; steps < 4; steps++ {
		if isSelfIssued(c.Certificate) {
			return c.issuer == nil && c.reason == nil
		}
		var next *certificate
		for _, candidate := range p.list {
			if bytes.Equal(candidate.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(candidate.Certificate) == nil {
				next = candidate
				break
			}
		}
		if next == nil {
			return false
		}
		c = next
	}
	return false
}

func (v *verification) chain() error {
	certificates, err := parseCertificates(v.quote.certificates)
	if err != nil {
		return refuse("pck_chain", "the quote's certificates: %v", err)
	}
	v.pool = &pool{}
	var own []*certificate
	for _, c := range certificates {
		own = append(own, v.pool.add(c))
	}
	if v.policy.Collateral != nil {
		for _, c := range v.policy.Collateral.certificates {
			v.pool.add(c)
		}
	}
	v.pool.resolve(v.policy)
	for _, c := range own {
		switch {
		case c.reason != nil:
			return c.reason
		case c.issuer == nil && v.pool.hasForeignRoot(c):
			return refuse("root_ca", "the chain of %s ends in a root that is not trusted", c.Subject.CommonName)
		case c.issuer == nil:
			return refuse("pck_chain", "%s is not signed by a certificate of a trusted root", c.Subject.CommonName)
		}
		if c.is(namePCK) && v.pck == nil {
			v.pck = c
		}
	}
	pck := v.pck
	if pck == nil || pck.depth != 2 || pck.IsCA || !pck.issuer.is(nameCA) || !pck.issuer.issuer.is(nameRoot) {
		return refuse("pck_chain", "the chain is not PCK certificate, PCK CA, SGX root CA")
	}
	if key, ok := pck.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return refuse("pck_chain", "the PCK certificate's key is not of P-256")
	}
	v.report.SoftwareRoot = pck.software
	if v.ext, err = parsePCK(pck.Certificate); err != nil {
		return refuse("pck_certificate", "%v", err)
	}
	v.report.FMSPC, v.report.PPID = v.ext.fmspc, v.ext.ppid
	return nil
}

func verifyRaw(key *ecdsa.PublicKey, data, signature []byte) bool {
	hash := sha256.Sum256(data)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:64])
	return ecdsa.Verify(key, hash[:], r, s)
}

// signatures: the PCK signed the quoting enclave's report, that names the attestation key, that signed the quote.
func (v *verification) signatures() error {
	q := v.quote
	if !verifyRaw(v.pck.PublicKey.(*ecdsa.PublicKey), q.qeReport, q.qeReportSignature) {
		return refuse("qe_report_signature", "the signature of the QE report does not verify with the PCK certificate's key")
	}
	hash := sha256.New()
	hash.Write(q.key)
	hash.Write(q.authenticationData)
	if expected := append(hash.Sum(nil), make([]byte, 32)...); !bytes.Equal(expected, q.qeReport[320:384]) {
		return refuse("attestation_key", "the QE report is not about this attestation key")
	}
	key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(q.key[:32]), Y: new(big.Int).SetBytes(q.key[32:])}
	if _, err := key.ECDH(); err != nil || !verifyRaw(key, q.signed, q.signature) {
		return refuse("quote_signature", "the quote's signature does not verify with the attestation key")
	}
	return nil
}

// pckExtension is what Intel's extension 1.2.840.113741.1.13.1 says.
type pckExtension struct {
	ppid       [16]byte
	fmspc      [6]byte
	pceID      [2]byte
	components [16]int
	pceSVN     int
}

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

type pair struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// arc gives the last number of an identifier right below `above`.
func (p pair) arc(above asn1.ObjectIdentifier) int {
	if len(p.ID) != len(above)+1 || !p.ID[:len(above)].Equal(above) {
		return -1
	}
	return p.ID[len(above)]
}

func pairs(der []byte) ([]pair, error) {
	var list []pair
	rest, err := asn1.Unmarshal(der, &list)
	if err == nil && len(rest) != 0 {
		err = errors.New("bytes behind the SGX extensions")
	}
	return list, err
}

func number(value asn1.RawValue, max int) (int, error) {
	var n int
	rest, err := asn1.Unmarshal(value.FullBytes, &n)
	if err != nil || len(rest) != 0 || n < 0 || n > max {
		return 0, errors.New("a number of the SGX extensions is out of its range")
	}
	return n, nil
}

func parsePCK(c *x509.Certificate) (pckExtension, error) {
	var ext pckExtension
	seen := map[int]bool{}
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(oidSGX) {
			continue
		}
		list, err := pairs(extension.Value)
		if err != nil {
			return ext, err
		}
		for _, p := range list {
			arc := p.arc(oidSGX)
			if arc < 1 || arc > 7 || seen[arc] {
				return ext, errors.New("an unknown value, or one twice, in the SGX extensions")
			}
			seen[arc] = true
			if err := ext.take(arc, p.Value); err != nil {
				return ext, err
			}
		}
	}
	for arc := 1; arc <= 5; arc++ {
		if !seen[arc] {
			return ext, errors.New("the PCK certificate has not all of the SGX extensions")
		}
	}
	return ext, nil
}

func (ext *pckExtension) take(arc int, value asn1.RawValue) error {
	octets := func(out []byte) error {
		if value.Tag != asn1.TagOctetString || len(value.Bytes) != len(out) {
			return errors.New("a value of the SGX extensions has another size")
		}
		copy(out, value.Bytes)
		return nil
	}
	switch arc {
	case 1:
		return octets(ext.ppid[:])
	case 2:
		return ext.takeTCB(value.FullBytes)
	case 3:
		return octets(ext.pceID[:])
	case 4:
		return octets(ext.fmspc[:])
	}
	return nil
}

func (ext *pckExtension) takeTCB(der []byte) error {
	above := append(append(asn1.ObjectIdentifier{}, oidSGX...), 2)
	list, err := pairs(der)
	if err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, p := range list {
		arc := p.arc(above)
		if arc < 1 || arc > 18 || seen[arc] {
			return errors.New("an unknown value, or one twice, in the TCB of the SGX extensions")
		}
		seen[arc] = true
		switch {
		case arc <= 16:
			ext.components[arc-1], err = number(p.Value, 255)
		case arc == 17:
			ext.pceSVN, err = number(p.Value, 65535)
		}
		if err != nil {
			return err
		}
	}
	if len(seen) != 18 {
		return errors.New("the SGX extensions have not 16 components, PCE SVN and CPU SVN")
	}
	return nil
}
