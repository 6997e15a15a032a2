import Hummingbird
import AsyncHTTPClient
import JWTKit
import CryptoExtras
