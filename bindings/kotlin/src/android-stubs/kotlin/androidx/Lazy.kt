@file:Suppress("unused", "FunctionName", "UNUSED_PARAMETER")

package androidx.compose.foundation.lazy

import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier

class LazyListItemInfo(val key: Any)

class LazyListLayoutInfo(val visibleItemsInfo: List<LazyListItemInfo>)

class LazyListState {
    val layoutInfo: LazyListLayoutInfo = LazyListLayoutInfo(emptyList())

    suspend fun scrollToItem(index: Int) {}
}

fun rememberLazyListState(): LazyListState = LazyListState()

class LazyListScope {
    fun item(content: @Composable () -> Unit) {}
}

fun <T> LazyListScope.items(items: List<T>, key: (T) -> Any, content: @Composable (T) -> Unit) {}

@Composable
fun LazyColumn(
    modifier: Modifier = Modifier,
    state: LazyListState = LazyListState(),
    contentPadding: PaddingValues = PaddingValues(),
    content: LazyListScope.() -> Unit,
) {}
