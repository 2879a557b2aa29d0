// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Wallets to test with. None of them guards anything of value.

/// A wallet whose owner's key signs for it (ERC-1271): 65 bytes r, s, v over the hash itself.
contract OwnedWallet {
    address public owner;

    constructor(address first) {
        owner = first;
    }

    function setOwner(address next) external {
        require(msg.sender == owner, "not the owner");
        owner = next;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != 65) return 0xffffffff;
        address signer = ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        return signer != address(0) && signer == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// Deploys wallets at addresses that are known before.
contract WalletFactory {
    function create(address owner, bytes32 salt) external returns (address) {
        return address(new OwnedWallet{salt: salt}(owner));
    }

    function predict(address owner, bytes32 salt) external view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(OwnedWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code)))));
    }
}

/// Fails with a reason.
contract RevertingWallet {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        revert("out of order");
    }
}

/// Answers yes followed by what does not belong there.
contract DirtyWallet {
    fallback() external {
        assembly {
            mstore(0, shl(224, 0x1626ba7e))
            mstore8(31, 1)
            return(0, 32)
        }
    }
}

/// Fails with a reason of 64 kilobytes.
contract VerboseWallet {
    fallback() external {
        assembly {
            revert(0, 65536)
        }
    }
}

/// Never comes to an end.
contract EndlessWallet {
    fallback() external {
        while (true) {}
    }
}
