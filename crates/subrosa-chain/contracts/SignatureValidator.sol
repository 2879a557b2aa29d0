// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Says whether a wallet signed a hash (identity §12.3). Never deployed: a node runs this constructor in a call, and
/// what it returns as the contract's code is the answer, one byte: 0x01 for yes, 0x00 for no. A revert is neither.
///
/// The wallet may be a contract, a contract that its factory has yet to deploy, or a key.
contract SignatureValidator {
    /// Last 32 bytes of a signature that says how to deploy the wallet first (ERC-6492).
    bytes32 private constant WRAPPED = 0x6492649264926492649264926492649264926492649264926492649264926492;
    /// What a wallet answers for yes, which is also the selector of the question (ERC-1271).
    bytes4 private constant MAGIC = 0x1626ba7e;
    /// How much of a wallet's reason to revert is handed on, in bytes.
    uint256 private constant MAX_REASON = 1024;

    constructor(address signer, bytes32 hash, bytes memory signature) {
        bool valid = judge(signer, hash, signature);
        assembly ("memory-safe") {
            mstore8(0, valid)
            return(0, 1)
        }
    }

    function judge(address signer, bytes32 hash, bytes memory signature) private returns (bool) {
        uint256 length = signature.length;
        if (length < 32) revert();
        bytes32 last;
        assembly ("memory-safe") {
            last := mload(add(signature, length))
        }
        if (last == WRAPPED) {
            assembly ("memory-safe") {
                mstore(signature, sub(length, 32))
            }
            (address factory, bytes memory deploy, bytes memory inner) = abi.decode(signature, (address, bytes, bytes));
            if (signer.code.length == 0) {
                (bool deployed, ) = factory.call(deploy);
                require(deployed, "SignatureValidator: deployment");
            }
            return contractSigned(signer, hash, inner);
        }
        if (signer.code.length > 0) return contractSigned(signer, hash, signature);
        return keySigned(signer, hash, signature);
    }

    /// Asks the wallet. Only a word whose last 28 bytes are zero is an answer.
    function contractSigned(address signer, bytes32 hash, bytes memory signature) private view returns (bool) {
        if (signer.code.length == 0) revert();
        bytes memory question = abi.encodeWithSelector(MAGIC, hash, signature);
        bool answered;
        bytes32 answer;
        uint256 limit = MAX_REASON;
        // By hand, because a wallet may answer with more than anybody wants to copy.
        assembly ("memory-safe") {
            answered := staticcall(gas(), signer, add(question, 32), mload(question), 0, 32)
            answer := mload(0)
            if iszero(answered) {
                let size := returndatasize()
                if gt(size, limit) {
                    size := limit
                }
                let reason := mload(64)
                returndatacopy(reason, 0, size)
                revert(reason, size)
            }
            if or(lt(returndatasize(), 32), shl(32, answer)) {
                revert(0, 0)
            }
        }
        return bytes4(answer) == MAGIC;
    }

    /// Recovers the key that signed: r, s, v.
    function keySigned(address signer, bytes32 hash, bytes memory signature) private pure returns (bool) {
        require(signature.length == 65, "SignatureValidator#recoverSigner: invalid signature length");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        require(v == 27 || v == 28, "SignatureValidator#recoverSigner: invalid signature v value");
        // Zero is what a signature recovers to that nobody made; it is no signer, not even for itself.
        address recovered = ecrecover(hash, v, r, s);
        return recovered != address(0) && recovered == signer;
    }
}
