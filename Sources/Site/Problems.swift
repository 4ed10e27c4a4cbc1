package import Contract
import HTTPTypes
package import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import PaymentCore
import PaymentEngine

/// Answers every error with a problem, except when the connection is gone (`isGone`). `CheckoutOrigins` is outside of
/// it, so that pages of allowed origins can read problems, too.
package struct Problems: RouterMiddleware {
  private let table: RouteTable

  package init(table: RouteTable) { self.table = table }

  package func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    do { return try await next(request, context) } catch let error as HTTPError where error.status == .notFound {
      let methods = table.methods(of: request.uri.path)
      guard !methods.isEmpty else { return .problem(Self.problem(of: error, context)) }
      context.note.code = Problem.methodNotAllowed.code
      var response = Response.problem(.methodNotAllowed)
      response.headers[.allow] = methods.joined(separator: ", ")
      return response
    } catch  where Self.isGone(error) {
      throw error
    } catch {
      return .problem(Self.problem(of: error, context))
    }
  }

  /// Whether nobody is there to answer: the connection is gone, or carries something that is not HTTP.
  package static func isGone(_ error: any Error) -> Bool {
    error is HTTPParserError || error is ChannelError || error is IOError || error is CancellationError
  }

  /// The problem that the caller reads. Its code is noted for the log.
  package static func problem(of error: any Error, _ context: WebContext) -> Problem {
    let problem = problem(of: error, context.logger)
    context.note.code = problem.code
    return problem
  }

  private static func problem(of error: any Error, _ logger: Logger) -> Problem {
    switch error {
    case let error as ProblemError: return error.problem
    case let refusal as Refusal: return Problem(refusal)
    case let fault as Fault:
      logger.warning("a request met a fault", metadata: ["fault": "\(fault)"])
      return switch fault {
      case .overloaded: .overloaded
      case .clockWrong: .clockWrong
      case .conflict, .contested, .unavailable, .unknownCommit: .unavailable
      }
    case let error as HTTPError where error.status == .notFound:
      return Problem(Refusal(.notFound, "There is no such resource."))
    case let error as HTTPError where error.status == .contentTooLarge: return .tooLarge(limit: Request.bodyLimit)
    case let error as HTTPError where error.status == .badRequest: return .malformed
    default:
      logger.error("a request failed", metadata: ["error": "\(type(of: error))"])
      return .internalError
    }
  }
}

/// A problem that ends a request.
package struct ProblemError: Error {
  package let problem: Problem
  package init(_ problem: Problem) { self.problem = problem }
}
