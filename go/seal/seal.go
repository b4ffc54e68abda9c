// Package seal encrypts data for this enclave, or for all enclaves of its signer and product, so that nobody else opens it. The format is that
// of EGo's package ecrypto: what one seals the other unseals.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"cella.dev/go/enclave"
)

// Seal is for this very enclave; `additional` is authenticated with the data and not part of the result.
func Seal(plaintext, additional []byte) ([]byte, error) {
	return sealWith(enclave.SealToEnclave, plaintext, additional)
}

// SealToProduct is for every enclave of this signer and product that is not older.
func SealToProduct(plaintext, additional []byte) ([]byte, error) {
	return sealWith(enclave.SealToProduct, plaintext, additional)
}

func sealWith(policy enclave.SealPolicy, plaintext, additional []byte) ([]byte, error) {
	key, info, err := enclave.NewSealKey(policy)
	if err != nil {
		return nil, err
	}
	return encrypt(key, info, plaintext, additional)
}

// encrypt writes u32 size of the key information, key information, nonce, ciphertext with its tag.
func encrypt(key, info, plaintext, additional []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	sealed := binary.LittleEndian.AppendUint32(nil, uint32(len(info)))
	sealed = append(sealed, info...)
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	sealed = append(sealed, nonce...)
	return aead.Seal(sealed, nonce, plaintext, additional), nil
}

// Unseal opens what Seal and SealToProduct made.
func Unseal(sealed, additional []byte) ([]byte, error) {
	info, rest, err := split(sealed)
	if err != nil {
		return nil, err
	}
	key, err := enclave.SealKey(info)
	if err != nil {
		return nil, err
	}
	return decrypt(key, rest, additional)
}

func split(sealed []byte) (info, rest []byte, err error) {
	if len(sealed) < 4 || uint64(binary.LittleEndian.Uint32(sealed)) > uint64(len(sealed)-4) {
		return nil, nil, errors.New("seal: the data ends too early")
	}
	size := binary.LittleEndian.Uint32(sealed)
	return sealed[4 : 4+size], sealed[4+size:], nil
}

func decrypt(key, rest, additional []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(rest) < aead.NonceSize() {
		return nil, errors.New("seal: the data ends too early")
	}
	plaintext, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], additional)
	if err != nil {
		return nil, errors.New("seal: authentication failed: another key, altered data or other additional data")
	}
	return plaintext, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
