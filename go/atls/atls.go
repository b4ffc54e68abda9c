// Package atls makes TLS configurations whose certificates carry evidence: a server in an enclave proves what it is, and a client anywhere
// verifies it, in pure Go. The certificates are those of docs/formats/attested-tls.md; both sides talk to Cella's C library, to EGo and
// to Open Enclave.
package atls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"cella.dev/go/attest"
	"cella.dev/go/enclave"
)

// Form is how a certificate carries evidence.
type Form int

const (
	// Interoperable is the form of the Confidential Computing Consortium ("Interoperable RA-TLS").
	Interoperable Form = iota
	// EGo is a report over the public key in DER, which EGo's clients take.
	EGo
	// OpenEnclave is a report over the public key in PEM, which Open Enclave's and EGo's clients take.
	OpenEnclave
)

var (
	oidInteroperable = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 9}
	oidReport        = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1}
	oidEvidence      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 2}
)

const validity = 365 * 24 * time.Hour

// Options of a certificate. The zero Options are good.
type Options struct {
	Form  Form
	Nonce []byte // the verifier's, for the interoperable form
	Name  string // the subject's common name; "" is "Cella"
	// Report makes the evidence; nil: enclave.RemoteReport. A quote in Open Enclave's header.
	Report func(data []byte) ([]byte, error)
}

// Certificate makes a key of P-256 and a certificate for it, signed by itself, that carries evidence about this enclave.
func Certificate(options Options) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	extension, err := evidenceFor(&key.PublicKey, options)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	name := options.Name
	if name == "" {
		name = "Cella"
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{extension},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func evidenceFor(public crypto.PublicKey, options Options) (pkix.Extension, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return pkix.Extension{}, err
	}
	makeReport := options.Report
	if makeReport == nil {
		makeReport = enclave.RemoteReport
	}
	switch options.Form {
	case EGo:
		hash := sha256.Sum256(der)
		report, err := makeReport(hash[:])
		return pkix.Extension{Id: oidReport, Value: report}, err
	case OpenEnclave:
		hash := sha256.Sum256(pemOf(der))
		report, err := makeReport(hash[:])
		return pkix.Extension{Id: oidReport, Value: report}, err
	}
	keyHash := sha256.Sum256(der)
	claims := encodeClaims(keyHash[:], options.Nonce)
	hash := sha256.Sum256(claims)
	report, err := makeReport(hash[:])
	if err != nil {
		return pkix.Extension{}, err
	}
	if len(report) < 16 {
		return pkix.Extension{}, errors.New("atls: the report is too short")
	}
	return pkix.Extension{Id: oidInteroperable, Value: encodeEvidence(report[16:], claims)}, nil
}

// pemOf is the public key as Open Enclave hashes it: in PEM, with a zero byte.
func pemOf(der []byte) []byte {
	return append(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0)
}

// ServerConfig is for a server in an enclave.
func ServerConfig(options Options) (*tls.Config, error) {
	certificate, err := Certificate(options)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}, nil
}

// ClientConfig is for a client that believes evidence and no certificate authority. `policy` says what is believed; `check` (may be
// nil) looks at what was verified. Without a measurement or a signer in the policy and without a check nothing is accepted: any
// enclave would be.
func ClientConfig(policy *attest.Policy, check func(*attest.Report) error) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the evidence says whose key it is
		VerifyPeerCertificate: func(certificates [][]byte, _ [][]*x509.Certificate) error {
			if len(certificates) == 0 {
				return errors.New("atls: no certificate")
			}
			_, err := VerifyCertificate(certificates[0], nil, policy, check)
			return err
		},
	}
}

// MutualConfig asks clients for evidence, too.
func MutualConfig(options Options, policy *attest.Policy, check func(*attest.Report) error) (*tls.Config, error) {
	config, err := ServerConfig(options)
	if err != nil {
		return nil, err
	}
	client := ClientConfig(policy, check)
	config.ClientAuth, config.InsecureSkipVerify = tls.RequireAnyClientCert, true
	config.VerifyPeerCertificate = client.VerifyPeerCertificate
	return config, nil
}

// VerifyCertificate verifies a certificate with evidence: that the evidence is good, about the certificate's key and, where it is
// asked for, about the nonce.
func VerifyCertificate(der, nonce []byte, policy *attest.Policy, check func(*attest.Report) error) (*attest.Report, error) {
	if check == nil && (policy == nil || policy.MRENCLAVE == nil && policy.MRSIGNER == nil) {
		return nil, errors.New("atls: the policy names neither an enclave nor a signer, and there is no check")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		return nil, fmt.Errorf("atls: the certificate is not signed by its own key: %w", err)
	}
	if policy == nil {
		policy = &attest.Policy{}
	}
	if now := timeOf(policy); now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return nil, errors.New("atls: the certificate is not valid now")
	}
	report, err := verifyExtensions(certificate, nonce, policy)
	if err != nil {
		return report, err
	}
	if check != nil {
		return report, check(report)
	}
	return report, nil
}

func timeOf(policy *attest.Policy) time.Time {
	if policy.Time.IsZero() {
		return time.Now()
	}
	return policy.Time
}

func verifyExtensions(certificate *x509.Certificate, nonce []byte, policy *attest.Policy) (*attest.Report, error) {
	for _, extension := range certificate.Extensions {
		switch {
		case extension.Id.Equal(oidInteroperable):
			return verifyInteroperable(certificate, extension.Value, nonce, policy)
		case extension.Id.Equal(oidReport) || extension.Id.Equal(oidEvidence):
			if nonce != nil {
				return nil, errors.New("atls: this form of certificate has no nonce")
			}
			return verifyReport(certificate, extension.Value, extension.Id.Equal(oidEvidence), policy)
		}
	}
	return nil, errors.New("atls: the certificate carries no evidence")
}

func verifyReport(certificate *x509.Certificate, evidence []byte, isEvidence bool, policy *attest.Policy) (*attest.Report, error) {
	report, err := attest.Verify(evidence, policy)
	if err != nil {
		return report, err
	}
	public := certificate.RawSubjectPublicKeyInfo
	if isEvidence {
		if !bytes.Equal(report.CustomClaims, pemOf(public)) {
			return report, errors.New("atls: the evidence is about another key")
		}
		return report, nil
	}
	inDER, inPEM := attest.HashClaims(public), attest.HashClaims(pemOf(public))
	if report.Data != inDER && report.Data != inPEM {
		return report, errors.New("atls: the report is about another key")
	}
	return report, nil
}

func verifyInteroperable(certificate *x509.Certificate, value, nonce []byte, policy *attest.Policy) (*attest.Report, error) {
	quote, encoded, err := decodeEvidence(value)
	if err != nil {
		return nil, err
	}
	claims, err := decodeClaims(encoded)
	if err != nil {
		return nil, err
	}
	report, err := attest.Verify(quote, policy)
	if err != nil {
		return report, err
	}
	if report.Data != attest.HashClaims(encoded) {
		return report, errors.New("atls: the quote is about other claims")
	}
	if nonce != nil && !bytes.Equal(claims["nonce"], nonce) {
		return report, errors.New("atls: the nonce is another one")
	}
	return report, checkKeyHash(certificate.RawSubjectPublicKeyInfo, claims["pubkey-hash"])
}

func checkKeyHash(public, claim []byte) error {
	algorithm, hash, err := decodeKeyHash(claim)
	if err != nil {
		return err
	}
	var expected []byte
	switch algorithm {
	case algSHA256:
		sum := sha256.Sum256(public)
		expected = sum[:]
	case 7:
		sum := sha512.Sum384(public)
		expected = sum[:]
	case 8:
		sum := sha512.Sum512(public)
		expected = sum[:]
	default:
		return fmt.Errorf("atls: hash algorithm %d", algorithm)
	}
	if !bytes.Equal(hash, expected) {
		return errors.New("atls: the evidence is about another key")
	}
	return nil
}
